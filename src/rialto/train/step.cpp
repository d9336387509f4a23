// The runner of one stage.
#include "rialto/train/step.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/schedule/actions.h"

namespace rialto::train {
namespace {

/// Sums over micro-batches what the objective's parts are, in fp64, and divides once.
class ExtraSums {
 public:
  void add(const model::ObjectiveParts& parts) {
    add(aux_, parts.aux);
    add(z_, parts.z);
    if (parts.mtp.size() > mtp_.size()) mtp_.resize(parts.mtp.size());
    for (size_t m = 0; m < parts.mtp.size(); ++m) {
      mtp_[m].first += parts.mtp[m].sum.item<double>();
      mtp_[m].second += parts.mtp[m].weight;
    }
  }
  /// Every sum, to be added to those of other ranks in place.
  std::vector<double*> all() {
    std::vector<double*> sums;
    for (auto* sum : {&aux_, &z_})
      if (*sum) sums.push_back(&**sum);
    for (auto& [sum, weight] : mtp_) {
      sums.push_back(&sum);
      sums.push_back(&weight);
    }
    return sums;
  }
  ExtraLosses mean(double total_weight) const {
    const auto over = [](double sum, double weight) { return weight > 0 ? sum / weight : 0; };
    ExtraLosses means;
    if (aux_) means.load_balancing = over(*aux_, total_weight);
    if (z_) means.z = over(*z_, total_weight);
    for (const auto& [sum, weight] : mtp_) means.mtp.push_back(over(sum, weight));
    return means;
  }

 private:
  static void add(std::optional<double>& sum, const at::Tensor& part) {
    if (part.defined()) sum = sum.value_or(0) + part.item<double>();
  }
  std::optional<double> aux_, z_;
  std::vector<std::pair<double, double>> mtp_;  ///< sum and weight of each depth
};

model::LossSum forward(const model::Model& model, const model::Batch& batch, const ForwardStep& forward_step) {
  return forward_step ? forward_step(model, batch) : model.forward_loss(batch);
}

Phase phase_of(schedule::Act act) {
  if (act == schedule::Act::kBackward) return Phase::kBackward;
  if (act == schedule::Act::kReduceGrads) return Phase::kReduce;
  if (act == schedule::Act::kStep) return Phase::kOptimizer;
  return Phase::kForward;
}

/// Gradients of micro-batches were already scaled by the batch's own weight.
[[noreturn]] void refuse_weight(double got, double want) {
  throw Error(
      ErrorKind::kUsage, "forward step", "the weight of the loss is not that of the batch",
      {.got = fmt::format("{}", got), .want = fmt::format("{}, the sum of its loss weights", want), .hint = {}});
}

}  // namespace

double gradient_scale(bool per_token, double total_weight, double micro_weight, size_t num_micro_batches) {
  if (per_token) return 1.0 / total_weight;
  return 1.0 / std::max(1.0, micro_weight) / static_cast<double>(num_micro_batches);
}

Iteration run_iteration(const model::Model& model, model::Weights& weights, const GlobalBatch& batch,
                        const RunnerCalls& calls) {
  if (!(batch.total_weight > 0)) {
    throw Error(ErrorKind::kInput, fmt::format("sample {}", batch.micro_batches.front().sample_numbers.front()),
                "no token of this global batch carries a loss");
  }
  weights.zero_grad();
  std::vector<model::LossSum> losses(batch.micro_batches.size());
  Iteration result;
  double sum = 0, weight = 0;
  const auto mean = [&] { return sum * (1.0 / batch.total_weight); };
  ExtraSums extra;
  for (const schedule::Action& action : schedule::pipeline_order({}, 0, static_cast<int>(losses.size()))) {
    const auto micro = static_cast<size_t>(action.microbatch);
    const Phases::Scope scope(calls.phases, phase_of(action.act));
    switch (action.act) {
      case schedule::Act::kForward:
        losses[micro] = forward(model, batch.micro_batches[micro], calls.forward_step);
        if (!losses[micro].sum.requires_grad()) {
          throw Error(ErrorKind::kUsage, "forward step", "its loss has no gradient, so nothing would be trained",
                      {.got = {}, .want = "a sum that autograd recorded", .hint = {}});
        }
        weight += losses[micro].weight;
        for (model::RoutedTokens& tokens : losses[micro].routed) result.routed.push_back(std::move(tokens));
        break;
      case schedule::Act::kBackward:
        sum += losses[micro].sum.item<double>();
        extra.add(losses[micro].parts);
        // A gradient of a loss that is not finite would only spread it.
        if (micro + 1 == losses.size() && calls.expect_last_backward) calls.expect_last_backward();
        if (std::isfinite(sum)) {
          const double scale =
              gradient_scale(calls.per_token, batch.total_weight, losses[micro].weight, batch.num_micro_batches);
          model::backward(losses[micro], scale * calls.loss_scale);
        }
        losses[micro] = {};
        break;
      case schedule::Act::kReduceGrads:
        if (calls.reduce_grads) calls.reduce_grads();
        if (calls.sum_over_ranks) {
          std::vector<double*> sums = extra.all();
          sums.insert(sums.end(), {&sum, &weight});
          std::vector<double> values;
          for (const double* each : sums) values.push_back(*each);
          calls.sum_over_ranks(values);
          for (size_t i = 0; i < sums.size(); ++i) *sums[i] = values[i];
        }
        if (std::abs(weight - batch.total_weight) > 1e-6 * batch.total_weight)
          refuse_weight(weight, batch.total_weight);
        break;
      case schedule::Act::kStep:
        if (calls.step && std::isfinite(sum)) calls.step(mean());
        break;
      default:
        throw Error(ErrorKind::kInternal, "schedule", "an action that one stage does not have",
                    {.got = schedule::to_text(action), .want = {}, .hint = {}});
    }
  }
  result.loss = mean();
  result.extra = extra.mean(batch.total_weight);
  return result;
}

model::LossSum forward_only(const model::Model& model, const model::Batch& batch, const ForwardStep& forward_step) {
  const at::NoGradGuard no_grad;
  return forward(model, batch, forward_step);
}

}  // namespace rialto::train
