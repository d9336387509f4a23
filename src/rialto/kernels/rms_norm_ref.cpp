// RMSNorm in plain ATen operations, and the choice of body by device and dtype.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/rms_norm.h"

namespace rialto::kernels {

RmsNormOutput ref::rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                                    double weight_offset) {
  const auto wide = wide_type(x);
  const at::Tensor sum = delta.defined() ? at::add(x, delta) : x;
  const at::Tensor s = sum.to(wide);
  const at::Tensor rstd = at::rsqrt(s.square().mean(-1, true) + eps);
  return {sum, (s * rstd * (weight.to(wide) + weight_offset)).to(x.scalar_type()), rstd.squeeze(-1)};
}

RmsNormGrads ref::rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                                    const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                                    double weight_offset) {
  const auto wide = wide_type(sum);
  const at::Tensor normed = sum.to(wide) * rstd.unsqueeze(-1);
  const at::Tensor g = dy.to(wide);
  const at::Tensor gw = g * (weight.to(wide) + weight_offset);
  at::Tensor dx = (gw - normed * (gw * normed).mean(-1, true)) * rstd.unsqueeze(-1);
  if (dsum.defined()) dx = dx + dsum.to(wide);
  RmsNormGrads grads{dx.to(sum.scalar_type()), {}};
  if (want_dweight) grads.dweight = (g * normed).reshape({-1, sum.size(-1)}).sum(0);
  return grads;
}

RmsNormOutput rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                               double weight_offset) {
  if (x.is_cuda() && cuda::rms_norm_built() && is_narrow(x))
    return cuda::rms_norm_forward(x, delta, weight, eps, weight_offset);
  if (x.is_cpu() && is_narrow(x)) return cpu::rms_norm_forward(x, delta, weight, eps, weight_offset);
  return ref::rms_norm_forward(x, delta, weight, eps, weight_offset);
}

RmsNormGrads rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                               const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                               double weight_offset) {
  if (sum.is_cuda() && cuda::rms_norm_built() && is_narrow(sum)) {
    return cuda::rms_norm_backward(dy, dsum, sum, rstd, weight, want_dweight, weight_offset);
  }
  if (sum.is_cpu() && is_narrow(sum))
    return cpu::rms_norm_backward(dy, dsum, sum, rstd, weight, want_dweight, weight_offset);
  return ref::rms_norm_backward(dy, dsum, sum, rstd, weight, want_dweight, weight_offset);
}

}  // namespace rialto::kernels
