// Which body of a kernel runs: the fast ones know fp32, bf16 and fp16; everything else (fp64 in gradient checks) takes
// the reference. A CPU body takes no cosine, exponential, logarithm or tangent from ATen: those are MKL's, and of a
// process's first such call one thread's share is now and then right to 1.5e-4 only (seen on Intel under load, after a
// GEMM; the policy check looks for them), while a resumed run must be the same run.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// The type reductions are computed in: fp64 stays, everything narrower is fp32.
inline at::ScalarType wide_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// fp32, bf16 or fp16: the element types of the fast bodies.
inline bool has_narrow_type(const at::Tensor& x) {
  const auto type = x.scalar_type();
  return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
}

/// One of those, and contiguous: what most fast bodies take.
inline bool is_narrow(const at::Tensor& x) { return has_narrow_type(x) && x.is_contiguous(); }

}  // namespace rialto::kernels
