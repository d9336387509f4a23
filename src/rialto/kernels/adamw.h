// One AdamW update of a flat range.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// Constants of one step, fp64 and rounded to fp32 once.
struct AdamWStep {
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0, grad_scale = 1;
  double bias1 = 1, bias2 = 1;  ///< 1 - beta^t
};

/// Updates main, exp_avg, exp_avg_sq (fp32, flat, same length) from grad; writes main rounded to `weights` when that is
/// defined. Order of operations as torch.optim.AdamW: decay, moments, then the step. Elementwise: the same bits for any
/// number of threads.
void adamw_update(at::Tensor main, at::Tensor exp_avg, at::Tensor exp_avg_sq, const at::Tensor& grad,
                  at::Tensor weights, const AdamWStep& step);

namespace ref {
void adamw_update(at::Tensor main, at::Tensor exp_avg, at::Tensor exp_avg_sq, const at::Tensor& grad,
                  at::Tensor weights, const AdamWStep& step);
}
namespace cpu {
void adamw_update(at::Tensor main, at::Tensor exp_avg, at::Tensor exp_avg_sq, const at::Tensor& grad,
                  at::Tensor weights, const AdamWStep& step);
}

}  // namespace rialto::kernels
