// The tensor side of RMSNorm on the GPU.
#include <ATen/Functions.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "rialto/kernels/rms_norm.h"
#include "rialto/kernels/rms_norm_launch.h"

namespace rialto::kernels {
namespace {

const void* pointer_or_null(const at::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }
cuda::Element element_of(const at::Tensor& x) {
  if (x.scalar_type() == at::kFloat) return cuda::Element::kF32;
  return x.scalar_type() == at::kHalf ? cuda::Element::kF16 : cuda::Element::kBF16;
}
at::Tensor contiguous(const at::Tensor& x) { return x.defined() ? x.contiguous() : x; }

}  // namespace

bool cuda::rms_norm_built() { return true; }

RmsNormOutput cuda::rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                                     double weight_offset) {
  const c10::cuda::CUDAGuard device(x.device());
  const int64_t width = x.size(-1);
  const at::Tensor d = contiguous(delta), w = weight.to(x.scalar_type()).contiguous();
  RmsNormOutput out{d.defined() ? at::empty_like(x) : x, at::empty_like(x),
                    at::empty(x.sizes().slice(0, static_cast<size_t>(x.dim() - 1)), x.options().dtype(at::kFloat))};
  C10_CUDA_CHECK(cuda::launch(cuda::ForwardArgs{.x = x.const_data_ptr(),
                                                .delta = pointer_or_null(d),
                                                .weight = w.const_data_ptr(),
                                                .sum = d.defined() ? out.sum.data_ptr() : nullptr,
                                                .y = out.y.data_ptr(),
                                                .rstd = out.rstd.data_ptr<float>(),
                                                .rows = x.numel() / std::max<int64_t>(width, 1),
                                                .width = width,
                                                .eps = static_cast<float>(eps),
                                                .offset = static_cast<float>(weight_offset),
                                                .element = element_of(x)},
                              c10::cuda::getCurrentCUDAStream()));
  return out;
}

RmsNormGrads cuda::rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                                     const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                                     double weight_offset) {
  const c10::cuda::CUDAGuard device(sum.device());
  const int64_t width = sum.size(-1);
  const at::Tensor g = contiguous(dy), ds = contiguous(dsum), w = weight.to(sum.scalar_type()).contiguous();
  RmsNormGrads grads{at::empty_like(sum), {}};
  at::Tensor partial;
  if (want_dweight) partial = at::zeros({cuda::kGradBlocks, width}, sum.options().dtype(at::kFloat));
  C10_CUDA_CHECK(cuda::launch(cuda::BackwardArgs{.dy = g.const_data_ptr(),
                                                 .dsum = pointer_or_null(ds),
                                                 .sum = sum.const_data_ptr(),
                                                 .weight = w.const_data_ptr(),
                                                 .rstd = rstd.const_data_ptr<float>(),
                                                 .dx = grads.dx.data_ptr(),
                                                 .partial = want_dweight ? partial.data_ptr<float>() : nullptr,
                                                 .rows = sum.numel() / std::max<int64_t>(width, 1),
                                                 .width = width,
                                                 .offset = static_cast<float>(weight_offset),
                                                 .element = element_of(sum)},
                              c10::cuda::getCurrentCUDAStream()));
  if (want_dweight) grads.dweight = partial.sum(0);
  return grads;
}

}  // namespace rialto::kernels
