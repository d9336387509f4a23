// LayerNorm in plain ATen operations, and the choice of body by device and dtype.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/layer_norm.h"

namespace rialto::kernels {

LayerNormOutput ref::layer_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                        const at::Tensor& bias, double eps, double weight_offset) {
  const auto wide = wide_type(x);
  const at::Tensor sum = delta.defined() ? at::add(x, delta) : x;
  const at::Tensor s = sum.to(wide), mean = s.mean(-1, true), centred = s - mean;
  const at::Tensor rstd = at::rsqrt(centred.square().mean(-1, true) + eps);
  at::Tensor y = centred * rstd * (weight.to(wide) + weight_offset);
  if (bias.defined()) y = y + bias.to(wide);
  return {sum, y.to(x.scalar_type()), mean.squeeze(-1), rstd.squeeze(-1)};
}

LayerNormGrads ref::layer_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                                        const at::Tensor& weight, bool want_dweight, double weight_offset) {
  const auto wide = wide_type(forward.sum);
  const at::Tensor rstd = forward.rstd.unsqueeze(-1);
  const at::Tensor normed = (forward.sum.to(wide) - forward.mean.unsqueeze(-1)) * rstd;
  const at::Tensor g = dy.to(wide), gw = g * (weight.to(wide) + weight_offset);
  at::Tensor dx = (gw - gw.mean(-1, true) - normed * (gw * normed).mean(-1, true)) * rstd;
  if (dsum.defined()) dx = dx + dsum.to(wide);
  LayerNormGrads grads{dx.to(forward.sum.scalar_type()), {}, {}};
  if (want_dweight) {
    grads.dweight = (g * normed).reshape({-1, dy.size(-1)}).sum(0);
    grads.dbias = g.reshape({-1, dy.size(-1)}).sum(0);
  }
  return grads;
}

LayerNormOutput layer_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                   const at::Tensor& bias, double eps, double weight_offset) {
  return x.is_cpu() && is_narrow(x) ? cpu::layer_norm_forward(x, delta, weight, bias, eps, weight_offset)
                                    : ref::layer_norm_forward(x, delta, weight, bias, eps, weight_offset);
}

LayerNormGrads layer_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                                   const at::Tensor& weight, bool want_dweight, double weight_offset) {
  return forward.sum.is_cpu() && is_narrow(forward.sum)
             ? cpu::layer_norm_backward(dy, dsum, forward, weight, want_dweight, weight_offset)
             : ref::layer_norm_backward(dy, dsum, forward, weight, want_dweight, weight_offset);
}

}  // namespace rialto::kernels
