// Updates in plain ATen operations, on any device, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "rialto/kernels/flat_update.h"
#include "rialto/kernels/remainder.h"

namespace rialto::kernels {
namespace {

/// A range with everything in fp32 (the tensors themselves where they are); store() writes what was widened back.
struct Wide {
  explicit Wide(const FlatRange& stored) : range(stored) {
    main = range.main.defined() ? range.main : join_remainder(range.weights, range.remainder, range.moment2);
    if (range.moment1.defined()) moment1 = range.moment1.to(at::kFloat);
    if (range.moment2.defined()) moment2 = range.moment2.to(at::kFloat);
    if (!range.main.defined()) moment2.abs_();
  }
  void store() {
    if (range.moment1.defined()) range.moment1.copy_(moment1);
    if (range.moment2.defined()) range.moment2.copy_(moment2);
    if (!range.main.defined())
      split_remainder(main, range.weights, range.remainder, range.moment2);
    else if (range.weights.defined())
      range.weights.copy_(main);
  }
  FlatRange range;
  at::Tensor main, moment1, moment2;
};

bool is_narrow_moment(const at::Tensor& moment) {
  return !moment.defined() || moment.scalar_type() == at::kFloat || moment.scalar_type() == at::kBFloat16;
}

/// fp16 weights stand beside main parameters only; remainders are those of bf16.
bool has_fast_body(const FlatRange& range) {
  return range.grad.is_cpu() &&
         (!range.weights.defined() || range.weights.scalar_type() == at::kBFloat16 ||
          (range.main.defined() && range.weights.scalar_type() == at::kHalf)) &&
         is_narrow_moment(range.moment1) && is_narrow_moment(range.moment2);
}

}  // namespace

void ref::adam_update(const FlatRange& range, const AdamStep& step) {
  Wide a(range);
  at::Tensor g = range.grad * step.grad_scale;
  if (step.decoupled)
    a.main.mul_(1 - step.lr * step.weight_decay);
  else
    g = g.add(a.main, step.weight_decay);
  a.moment1.lerp_(g, 1 - step.beta1);
  a.moment2.mul_(step.beta2).addcmul_(g, g, 1 - step.beta2);
  const at::Tensor denom = (a.moment2.sqrt() / std::sqrt(step.bias2)).add_(step.eps);
  a.main.addcdiv_(a.moment1, denom, -step.lr / step.bias1);
  a.store();
}

void ref::sgd_update(const FlatRange& range, const SgdStep& step) {
  Wide a(range);
  at::Tensor g = (range.grad * step.grad_scale).add_(a.main, step.weight_decay);
  if (a.moment1.defined()) g = a.moment1.mul_(step.momentum).add_(g);
  a.main.add_(g, -step.lr);
  a.store();
}

void ref::lion_update(const FlatRange& range, const LionStep& step) {
  Wide a(range);
  const at::Tensor g = range.grad * step.grad_scale;
  a.main.mul_(1 - step.lr * step.weight_decay);
  a.main.add_(at::sign(a.moment1 * step.beta1 + g * (1 - step.beta1)), -step.lr);
  a.moment1.lerp_(g, 1 - step.beta2);
  a.store();
}

void adam_update(const FlatRange& range, const AdamStep& step) {
  (has_fast_body(range) ? cpu::adam_update : ref::adam_update)(range, step);
}
void sgd_update(const FlatRange& range, const SgdStep& step) {
  (has_fast_body(range) ? cpu::sgd_update : ref::sgd_update)(range, step);
}
void lion_update(const FlatRange& range, const LionStep& step) {
  (has_fast_body(range) ? cpu::lion_update : ref::lion_update)(range, step);
}

}  // namespace rialto::kernels
