// RMSNorm over the last dim, with the residual addition that usually precedes it fused in. fp32 inside.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

struct RmsNormOutput {
  at::Tensor sum;   ///< x + delta rounded to x's dtype; x itself without delta
  at::Tensor y;     ///< sum * rstd * (weight + weight_offset), in x's dtype
  at::Tensor rstd;  ///< fp32, one value per row: 1 / sqrt(mean(sum^2) + eps)
};
struct RmsNormGrads {
  at::Tensor dx;       ///< gradient of `sum` (and so of x and of delta), in its dtype
  at::Tensor dweight;  ///< fp32 [H]; undefined unless asked for
};

/// x [..., H] contiguous, delta of the same shape and dtype or undefined, weight [H]. `weight_offset` is added to the
/// weight in fp32: 1 for weights that are stored around zero (Gemma).
RmsNormOutput rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                               double weight_offset = 0);
/// dsum: gradient that reaches `sum` by the residual path, or undefined. Deterministic for a fixed device.
RmsNormGrads rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                               const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                               double weight_offset = 0);

namespace ref {
RmsNormOutput rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                               double weight_offset = 0);
RmsNormGrads rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                               const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                               double weight_offset = 0);
}  // namespace ref
namespace cpu {
RmsNormOutput rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                               double weight_offset = 0);
RmsNormGrads rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                               const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                               double weight_offset = 0);
}  // namespace cpu
namespace cuda {
bool rms_norm_built();  ///< false in a build without nvcc: the reference runs instead
RmsNormOutput rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                               double weight_offset = 0);
RmsNormGrads rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                               const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                               double weight_offset = 0);
}  // namespace cuda

}  // namespace rialto::kernels
