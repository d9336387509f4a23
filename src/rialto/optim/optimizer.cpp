// Segments with their state, updated one after the other.
#include "rialto/optim/optimizer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/kernels/remainder.h"
#include "rialto/optim/muon.h"

namespace rialto::optim {
namespace {

at::Tensor part_of(const at::Tensor& flat, const Range& range) { return flat.narrow(0, range.begin, range.size()); }

/// A part of a flat buffer on the device where it is updated; what was copied there is copied back by return_to().
at::Tensor bring(const at::Tensor& flat, const Segment& segment) {
  const at::Tensor part = part_of(flat, segment.range);
  return segment.offloaded ? part.to(at::kCPU) : part;
}

void return_to(const at::Tensor& flat, const Segment& segment, const at::Tensor& updated) {
  if (updated.device() != flat.device()) part_of(flat, segment.range).copy_(updated);
}

size_t moment_index(Kind rule, const Options& options, std::string_view name) {
  const auto names = moment_names(rule, options);
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return i;
  }
  throw Error(ErrorKind::kInternal, "optimizer", "no such state", {.got = std::string(name)});
}

}  // namespace

bool all_finite(const at::Tensor& flat) {
  constexpr int64_t kPiece = int64_t{1} << 22;
  for (int64_t begin = 0; begin < flat.numel(); begin += kPiece) {
    const at::Tensor part = flat.narrow(0, begin, std::min(kPiece, flat.numel() - begin));
    if (!at::isfinite(part).all().item<bool>()) return false;
  }
  return true;
}

Optimizer::Optimizer(model::Weights& weights, const Options& options, std::optional<std::vector<Range>> owned)
    : weights_(weights),
      options_(options),
      sharded_(owned.has_value()),
      owned_(owned ? std::move(*owned) : std::vector<Range>{{0, weights.flat_size()}}) {
  const at::NoGradGuard no_grad;
  if (!weights.flat_grad().defined()) {
    throw Error(ErrorKind::kInternal, "optimizer", "these weights were made for inference");
  }
  for (const Segment& segment : make_segments(weights, options, owned_)) held_.push_back(hold(segment));
  reset_main_from_weights();
}

Optimizer::Held Optimizer::hold(const Segment& segment) const {
  const at::Device device = segment.offloaded ? at::Device(at::kCPU) : weights_.flat_data().device();
  const auto zeros = [&](at::ScalarType type) {
    return at::zeros({segment.range.size()}, at::TensorOptions().device(device).dtype(type));
  };
  Held held{.segment = segment, .main = {}, .remainder = {}, .moments = {}};
  if (!main_is_weights())
    (options_.param_remainders ? held.remainder : held.main) =
        zeros(options_.param_remainders ? at::kShort : at::kFloat);
  const size_t count = moment_names(segment.rule, options_).size();
  for (size_t i = 0; i < count; ++i) {
    const at::ScalarType adam = i == 0 ? options_.exp_avg_dtype : options_.exp_avg_sq_dtype;
    held.moments.push_back(zeros(segment.rule == Kind::kAdam ? adam : at::kFloat));
  }
  return held;
}

bool Optimizer::main_is_weights() const { return weights_.flat_data().scalar_type() == at::kFloat; }

void Optimizer::reset_main_from_weights() {
  const at::NoGradGuard no_grad;
  if (main_is_weights()) return;
  for (const Held& held : held_)
    set_value(held, "param", {0, held.segment.range.size()}, part_of(weights_.flat_data(), held.segment.range));
}

bool Optimizer::main_is_finite() const {
  const at::NoGradGuard no_grad;
  return std::ranges::all_of(
      held_, [&](const Held& held) { return all_finite(value(held, "param", {0, held.segment.range.size()})); });
}

void Optimizer::step(const Rates& rates, double grad_scale) {
  const at::NoGradGuard no_grad;
  ++num_steps_;
  for (const Held& held : held_) update(held, rates, grad_scale);
}

kernels::FlatRange Optimizer::flat_range(const Held& held) const {
  kernels::FlatRange range;
  range.grad = bring(weights_.flat_grad(), held.segment);
  const at::Tensor data = bring(weights_.flat_data(), held.segment);
  range.main = main_is_weights() ? data : held.main;
  if (!main_is_weights()) range.weights = data;
  range.remainder = held.remainder;
  if (!held.moments.empty()) range.moment1 = held.moments[0];
  if (held.moments.size() > 1) range.moment2 = held.moments[1];
  return range;
}

void Optimizer::update(const Held& held, const Rates& rates, double grad_scale) {
  const Segment& segment = held.segment;
  const kernels::FlatRange range = flat_range(held);
  const double lr = segment.group.decoupled_lr ? rates.decoupled_lr : rates.lr;
  const double decay = segment.group.decay ? rates.weight_decay : 0;
  switch (segment.rule) {
    case Kind::kAdam:
      kernels::adam_update(range, {.lr = lr,
                                   .beta1 = options_.adam_beta1,
                                   .beta2 = options_.adam_beta2,
                                   .eps = options_.adam_eps,
                                   .weight_decay = decay,
                                   .grad_scale = grad_scale,
                                   .bias1 = 1 - std::pow(options_.adam_beta1, static_cast<double>(num_steps_)),
                                   .bias2 = 1 - std::pow(options_.adam_beta2, static_cast<double>(num_steps_)),
                                   .decoupled = options_.decoupled_weight_decay});
      break;
    case Kind::kSgd:
      kernels::sgd_update(
          range, {.lr = lr, .momentum = options_.sgd_momentum, .weight_decay = decay, .grad_scale = grad_scale});
      break;
    case Kind::kLion:
      kernels::lion_update(range, {.lr = lr,
                                   .beta1 = options_.lion_beta1,
                                   .beta2 = options_.lion_beta2,
                                   .weight_decay = decay,
                                   .grad_scale = grad_scale});
      break;
    case Kind::kMuon: {
      const model::Weight& weight = weights_.all()[segment.weight];
      const auto shape = weight.data.sizes();
      const bool fused = weight.param.name.ends_with("linear_qkv.weight");
      muon_update(range.main.view(shape), range.moment1.view(shape), range.grad.view(shape),
                  fused ? weight.box.sizes() : Shape{}, options_.muon,
                  {.lr = lr, .weight_decay = decay, .grad_scale = grad_scale});
      if (range.weights.defined()) range.weights.copy_(range.main);
      break;
    }
  }
  return_to(weights_.flat_data(), segment, main_is_weights() ? range.main : range.weights);
}

std::vector<const char*> Optimizer::state_names(const spec::Param& param) const {
  return moment_names(rule_of(param, options_), options_);
}

/// Calls visit(segment with state, elements of it, where they stand in `range`) for the parts of `range`.
template <class Visit>
void Optimizer::for_each_part(const Range& range, const Visit& visit) const {
  int64_t done = range.begin;
  for (const Held& held : held_) {
    const Range& whole = held.segment.range;
    const int64_t end = std::min(whole.end, range.end);
    if (done >= range.end || whole.begin > done || end <= done) continue;
    visit(held, Range{done - whole.begin, end - whole.begin}, Range{done - range.begin, end - range.begin});
    done = end;
  }
  if (done < range.end)
    throw Error(ErrorKind::kInternal, "optimizer", "no state is held for elements",
                {.got = fmt::format("{} of [{}, {})", done, range.begin, range.end)});
}

at::Tensor Optimizer::value(const Held& held, std::string_view name, const Range& part) const {
  if (name == "param") {
    const at::Tensor data = part_of(part_of(weights_.flat_data(), held.segment.range), part);
    if (main_is_weights()) return data;
    if (held.main.defined()) return part_of(held.main, part);
    return kernels::join_remainder(data.to(held.remainder.device()), part_of(held.remainder, part),
                                   part_of(held.moments[1], part));
  }
  const size_t i = moment_index(held.segment.rule, options_, name);
  const at::Tensor moment = part_of(held.moments[i], part).to(at::kFloat);
  return held.remainder.defined() && i == 1 ? moment.abs() : moment;
}

at::Tensor Optimizer::read(std::string_view name, const Range& range) const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> parts;
  for_each_part(range,
                [&](const Held& held, const Range& part, const Range&) { parts.push_back(value(held, name, part)); });
  if (parts.size() == 1) return parts.front();
  for (at::Tensor& part : parts) part = part.to(weights_.flat_data().device());
  return at::cat(parts);
}

void Optimizer::set_value(const Held& held, std::string_view name, const Range& part, const at::Tensor& values) {
  if (name == "param") {
    at::Tensor data = part_of(part_of(weights_.flat_data(), held.segment.range), part);
    if (main_is_weights()) {
      data.copy_(values);
    } else if (held.main.defined()) {
      part_of(held.main, part).copy_(values);
    } else {
      const at::Tensor rest = part_of(held.remainder, part);
      const at::Tensor weights = data.to(rest.device());
      kernels::split_remainder(values.to(rest.device(), at::kFloat), weights, rest, part_of(held.moments[1], part));
      data.copy_(weights);
    }
    return;
  }
  const size_t i = moment_index(held.segment.rule, options_, name);
  at::Tensor moment = part_of(held.moments[i], part);
  const bool carries = held.remainder.defined() && i == 1;
  moment.copy_(carries ? at::copysign(values.to(moment.device()), moment.to(at::kFloat)) : values);
}

void Optimizer::write(std::string_view name, const Range& range, const at::Tensor& values) {
  const at::NoGradGuard no_grad;
  for_each_part(range, [&](const Held& held, const Range& part, const Range& from) {
    set_value(held, name, part, part_of(values.view({-1}), from));
  });
}

}  // namespace rialto::optim
