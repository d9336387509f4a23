// Which body of a kernel runs: the fast ones know fp32 and bf16; everything else (fp64 in gradient checks) takes the
// reference.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// The type reductions are computed in: fp64 stays, everything narrower is fp32.
inline at::ScalarType wide_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// fp32 or bf16, and contiguous: what the fast bodies take.
inline bool is_narrow(const at::Tensor& x) {
  return (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && x.is_contiguous();
}

}  // namespace rialto::kernels
