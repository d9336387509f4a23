// Joining and splitting in integer operations of ATen; the update on the CPU has its own loops (update_cpu.cpp).
#include "rialto/kernels/remainder.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace rialto::kernels {
namespace {

/// 65536 * the weights' bits, int32.
at::Tensor upper_half(const at::Tensor& weights) { return weights.view(at::kShort).to(at::kInt) * 65536; }

}  // namespace

at::Tensor join_remainder(const at::Tensor& weights, const at::Tensor& remainder, const at::Tensor& carrier) {
  const at::Tensor bits = upper_half(weights) + remainder.to(at::kInt) + at::signbit(carrier).to(at::kInt) * 65536;
  return bits.view(at::kFloat);
}

void split_remainder(const at::Tensor& main, at::Tensor weights, at::Tensor remainder, at::Tensor carrier) {
  weights.copy_(main);
  const at::Tensor rest = main.view(at::kInt) - upper_half(weights);
  remainder.copy_(rest);
  const at::Tensor size = carrier.abs();
  carrier.copy_(at::where(rest == 32768, -size, size));
}

}  // namespace rialto::kernels
