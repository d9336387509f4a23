// AdamW over flat buffers, in runs of weights that share their decay.
#include "rialto/optim/adamw.h"

#include <ATen/Functions.h>

#include <cmath>

#include "rialto/base/error.h"
#include "rialto/kernels/adamw.h"

namespace rialto::optim {
namespace {

at::Tensor part_of(const at::Tensor& flat, const model::Weight& weight) {
  return flat.narrow(0, weight.offset, weight.size).view(weight.data.sizes());
}

}  // namespace

AdamW::AdamW(model::Weights& weights, const AdamWOptions& options) : weights_(weights), options_(options) {
  const at::NoGradGuard no_grad;
  if (!weights.flat_grad().defined()) {
    throw Error(ErrorKind::kInternal, "optimizer", "these weights were made for inference");
  }
  const auto options_f32 = weights.flat_data().options().dtype(at::kFloat);
  main_ = main_is_weights() ? weights.flat_data() : weights.flat_data().to(at::kFloat);
  exp_avg_ = at::zeros({weights.flat_size()}, options_f32);
  exp_avg_sq_ = at::zeros({weights.flat_size()}, options_f32);
}

bool AdamW::main_is_weights() const { return weights_.flat_data().scalar_type() == at::kFloat; }

void AdamW::reset_main_from_weights() {
  const at::NoGradGuard no_grad;
  if (!main_is_weights()) main_.copy_(weights_.flat_data());
}

void AdamW::step(double lr, double grad_scale) {
  const at::NoGradGuard no_grad;
  ++num_steps_;
  kernels::AdamWStep step{.lr = lr,
                          .beta1 = options_.beta1,
                          .beta2 = options_.beta2,
                          .eps = options_.eps,
                          .weight_decay = 0,
                          .grad_scale = grad_scale,
                          .bias1 = 1 - std::pow(options_.beta1, static_cast<double>(num_steps_)),
                          .bias2 = 1 - std::pow(options_.beta2, static_cast<double>(num_steps_))};
  const auto& all = weights_.all();
  // Neighbours of the same class are one range; the padding between them is zero everywhere and stays so.
  for (size_t first = 0, last = 0; first < all.size(); first = last) {
    last = first + 1;
    if (all[first].frozen) continue;
    while (last < all.size() && !all[last].frozen && all[last].param.weight_decay == all[first].param.weight_decay)
      ++last;
    const int64_t begin = all[first].offset, count = all[last - 1].offset + all[last - 1].size - begin;
    const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, begin, count); };
    step.weight_decay = all[first].param.weight_decay ? options_.weight_decay : 0;
    kernels::adamw_update(part(main_), part(exp_avg_), part(exp_avg_sq_), part(weights_.flat_grad()),
                          main_is_weights() ? at::Tensor() : part(weights_.flat_data()), step);
  }
}

at::Tensor AdamW::main_of(const model::Weight& weight) const { return part_of(main_, weight); }
at::Tensor AdamW::exp_avg_of(const model::Weight& weight) const { return part_of(exp_avg_, weight); }
at::Tensor AdamW::exp_avg_sq_of(const model::Weight& weight) const { return part_of(exp_avg_sq_, weight); }

}  // namespace rialto::optim
