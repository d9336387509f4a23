// SwiGLU: silu(gate) * up of a fused row [gate | up]. fp32 inside.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// x [T,2F] -> [T,F], same dtype.
at::Tensor swiglu_forward(const at::Tensor& x);
/// dy [T,F], x [T,2F] -> dx [T,2F].
at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& x);

namespace ref {
at::Tensor swiglu_forward(const at::Tensor& x);
at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& x);
}  // namespace ref
namespace cpu {
at::Tensor swiglu_forward(const at::Tensor& x);
at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& x);
}  // namespace cpu

}  // namespace rialto::kernels
