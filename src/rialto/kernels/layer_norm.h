// LayerNorm over the last dim, with the residual addition that usually precedes it fused in. fp32 inside.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

struct LayerNormOutput {
  at::Tensor sum;         ///< x + delta rounded to x's dtype; x itself without delta
  at::Tensor y;           ///< (sum - mean) * rstd * (weight + weight_offset) + bias, in x's dtype
  at::Tensor mean, rstd;  ///< fp32, one value per row; rstd = 1 / sqrt(variance + eps)
};
struct LayerNormGrads {
  at::Tensor dx;              ///< gradient of `sum` (and so of x and of delta), in its dtype
  at::Tensor dweight, dbias;  ///< fp32 [H]; undefined unless asked for
};

/// x [..., H] contiguous, delta of the same shape and dtype or undefined, weight [H], bias [H] or undefined.
/// `weight_offset` is added to the weight in fp32: 1 for weights that are stored around zero (Nemotron).
LayerNormOutput layer_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                   const at::Tensor& bias, double eps, double weight_offset = 0);
/// dsum: gradient that reaches `sum` by the residual path, or undefined. `forward`: what the forward pass gave (its y
/// is not looked at). Deterministic for a fixed device.
LayerNormGrads layer_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                                   const at::Tensor& weight, bool want_dweight, double weight_offset = 0);

namespace ref {
LayerNormOutput layer_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                   const at::Tensor& bias, double eps, double weight_offset = 0);
LayerNormGrads layer_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                                   const at::Tensor& weight, bool want_dweight, double weight_offset = 0);
}  // namespace ref
namespace cpu {
LayerNormOutput layer_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                   const at::Tensor& bias, double eps, double weight_offset = 0);
LayerNormGrads layer_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                                   const at::Tensor& weight, bool want_dweight, double weight_offset = 0);
}  // namespace cpu

}  // namespace rialto::kernels
