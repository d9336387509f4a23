// The soft cap in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/soft_cap.h"

namespace rialto::kernels {

at::Tensor ref::soft_cap(at::Tensor x, double cap, bool want_slope) {
  x.div_(cap).tanh_();
  const at::Tensor slope = want_slope ? 1 - x.square() : at::Tensor();
  x.mul_(cap);
  return slope;
}

at::Tensor soft_cap(at::Tensor x, double cap, bool want_slope) {
  const bool fast = x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
  return fast ? cpu::soft_cap(x, cap, want_slope) : ref::soft_cap(x, cap, want_slope);
}

}  // namespace rialto::kernels
