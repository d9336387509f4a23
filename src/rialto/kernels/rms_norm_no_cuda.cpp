// Stands in for rms_norm_cuda.cu in a build without nvcc: the reference runs on any device.
#include "rialto/kernels/rms_norm.h"

namespace rialto::kernels {

bool cuda::rms_norm_built() { return false; }

RmsNormOutput cuda::rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                                     double weight_offset) {
  return ref::rms_norm_forward(x, delta, weight, eps, weight_offset);
}

RmsNormGrads cuda::rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                                     const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                                     double weight_offset) {
  return ref::rms_norm_backward(dy, dsum, sum, rstd, weight, want_dweight, weight_offset);
}

}  // namespace rialto::kernels
