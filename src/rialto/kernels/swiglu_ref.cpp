// SwiGLU in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/swiglu.h"

namespace rialto::kernels {

at::Tensor ref::swiglu_forward(const at::Tensor& x) {
  const auto parts = x.to(wide_type(x)).chunk(2, -1);
  return (at::silu(parts[0]) * parts[1]).to(x.scalar_type());
}

at::Tensor ref::swiglu_backward(const at::Tensor& dy, const at::Tensor& x) {
  const auto wide = wide_type(x);
  const auto parts = x.to(wide).chunk(2, -1);
  const at::Tensor g = dy.to(wide), s = at::sigmoid(parts[0]);
  const at::Tensor dgate = g * parts[1] * s * (1 + parts[0] * (1 - s));
  return at::cat({dgate, g * parts[0] * s}, -1).to(x.scalar_type());
}

at::Tensor swiglu_forward(const at::Tensor& x) {
  return x.is_cpu() && is_narrow(x) ? cpu::swiglu_forward(x) : ref::swiglu_forward(x);
}

at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& x) {
  return x.is_cpu() && is_narrow(x) && dy.is_contiguous() ? cpu::swiglu_backward(dy, x) : ref::swiglu_backward(dy, x);
}

}  // namespace rialto::kernels
