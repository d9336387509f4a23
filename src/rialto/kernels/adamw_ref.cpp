// AdamW in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/adamw.h"

namespace rialto::kernels {

void ref::adamw_update(at::Tensor main, at::Tensor exp_avg, at::Tensor exp_avg_sq, const at::Tensor& grad,
                       at::Tensor weights, const AdamWStep& step) {
  const at::Tensor g = grad * step.grad_scale;
  main.mul_(1 - step.lr * step.weight_decay);
  exp_avg.lerp_(g, 1 - step.beta1);
  exp_avg_sq.mul_(step.beta2).addcmul_(g, g, 1 - step.beta2);
  const at::Tensor denom = (exp_avg_sq.sqrt() / std::sqrt(step.bias2)).add_(step.eps);
  main.addcdiv_(exp_avg, denom, -step.lr / step.bias1);
  if (weights.defined()) weights.copy_(main);
}

void adamw_update(at::Tensor main, at::Tensor exp_avg, at::Tensor exp_avg_sq, const at::Tensor& grad,
                  at::Tensor weights, const AdamWStep& step) {
  const bool fast = main.is_cpu() && (!weights.defined() || weights.scalar_type() == at::kBFloat16);
  (fast ? cpu::adamw_update : ref::adamw_update)(main, exp_avg, exp_avg_sq, grad, weights, step);
}

}  // namespace rialto::kernels
