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
  explicit ExtraSums(size_t num_depths) : mtp_(num_depths) {}
  /// `counts`: weights and what is computed for whole sequences count here, and on no other context-parallel rank.
  void add(const model::ObjectiveParts& parts, bool counts) {
    if (counts) {
      add(aux_, parts.aux);
      add(z_, parts.z);
    }
    for (size_t m = 0; m < parts.mtp.size(); ++m)
      mtp_[m].add(parts.mtp[m].sum.item<double>(), counts ? parts.mtp[m].weight : 0);
  }
  /// Every number, to be added to those of other ranks in place: as many on each.
  std::vector<double*> all() {
    std::vector<double*> numbers;
    const auto append = [&](Part& part) { numbers.insert(numbers.end(), {&part.count, &part.sum, &part.weight}); };
    append(aux_);
    append(z_);
    for (Part& part : mtp_) append(part);
    return numbers;
  }
  ExtraLosses mean(double total_weight) const {
    const auto over = [](double sum, double weight) { return weight > 0 ? sum / weight : 0; };
    ExtraLosses means;
    if (aux_.count > 0) means.load_balancing = over(aux_.sum, total_weight);
    if (z_.count > 0) means.z = over(z_.sum, total_weight);
    for (const Part& part : mtp_)
      if (part.count > 0) means.mtp.push_back(over(part.sum, part.weight));
    return means;
  }

 private:
  struct Part {
    double count = 0, sum = 0, weight = 0;
    void add(double more, double its_weight) {
      count += 1;
      sum += more;
      weight += its_weight;
    }
  };
  static void add(Part& part, const at::Tensor& value) {
    if (value.defined()) part.add(value.item<double>(), 0);
  }
  Part aux_, z_;
  std::vector<Part> mtp_;  ///< of each depth
};

Phase phase_of(schedule::Act act) {
  if (act == schedule::Act::kBackward || act == schedule::Act::kBackwardWeight ||
      act == schedule::Act::kPostRecvBackward || act == schedule::Act::kPostSendBackward)
    return Phase::kBackward;
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

Iteration run_iteration(const Stages& stages, model::Weights& weights, const GlobalBatch& batch,
                        const RunnerCalls& calls) {
  if (!(batch.total_weight > 0)) {
    throw Error(ErrorKind::kInput, fmt::format("sample {}", batch.micro_batches.front().sample_numbers.front()),
                "no token of this global batch carries a loss");
  }
  weights.zero_grad();
  StageRunner runner(stages, batch.micro_batches);
  Iteration result;
  double sum = 0, weight = 0;
  const bool counts = stages.mesh.index(comm::Axis::kCp) == 0;
  const auto mean = [&] { return sum * (1.0 / batch.total_weight); };
  ExtraSums extra(stages.num_depths);
  const std::vector<schedule::Action> actions =
      schedule::pipeline_order(stages.mesh.layout(), stages.mesh.index(comm::Axis::kPp),
                               static_cast<int>(batch.micro_batches.size()), stages.order);
  const auto is_backward = [](const schedule::Action& action) { return action.act == schedule::Act::kBackward; };
  const schedule::Action& last_backward = *std::ranges::find_if(actions.rbegin(), actions.rend(), is_backward);
  for (const schedule::Action& action : actions) {
    const Phases::Scope scope(calls.phases, phase_of(action.act));
    switch (action.act) {
      case schedule::Act::kForward: {
        const model::LossSum& loss = runner.forward(action, calls.forward_step);
        if (loss.sum.defined()) {
          if (!loss.sum.requires_grad()) {
            throw Error(ErrorKind::kUsage, "forward step", "its loss has no gradient, so nothing would be trained",
                        {.got = {}, .want = "a sum that autograd recorded", .hint = {}});
          }
          if (counts) weight += loss.weight;
        }
        result.routed.insert(result.routed.end(), loss.routed.begin(), loss.routed.end());
        break;
      }
      case schedule::Act::kBackward: {
        const model::LossSum& loss = runner.loss(action);
        if (loss.sum.defined()) sum += loss.sum.item<double>();
        extra.add(loss.parts, counts);
        // What a sink holds back is reduced at the end.
        if (&action == &last_backward && calls.expect_last_backward && !stages.order.split_weight_gradients)
          calls.expect_last_backward();
        // A gradient of a loss that is not finite would only spread it; but a stage before waits for one.
        if (std::isfinite(sum) || !stages.are_whole()) {
          const double scale =
              gradient_scale(calls.per_token, batch.total_weight, loss.weight, batch.num_micro_batches);
          runner.backward(action, scale * calls.loss_scale);
        }
        break;
      }
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
        runner.pass(action);
    }
  }
  result.loss = mean();
  result.extra = extra.mean(batch.total_weight);
  return result;
}

Totals forward_only(const Stages& stages, const std::vector<model::Batch>& micro_batches,
                    const ForwardStep& forward_step) {
  Totals totals;
  if (micro_batches.empty()) return totals;
  const at::NoGradGuard no_grad;
  StageRunner runner(stages, micro_batches);
  const auto actions = schedule::pipeline_order(stages.mesh.layout(), stages.mesh.index(comm::Axis::kPp),
                                                static_cast<int>(micro_batches.size()), {.forward_only = true});
  for (const schedule::Action& action : actions) {
    if (action.act != schedule::Act::kForward) {
      runner.pass(action);
      continue;
    }
    const model::LossSum& loss = runner.forward(action, forward_step);
    if (!loss.sum.defined()) continue;
    totals.loss_sum += loss.sum.item<double>();
    if (stages.mesh.index(comm::Axis::kCp) != 0) continue;  // the others have parts of the same sequences
    totals.weight += loss.weight;
    const model::Batch& batch = micro_batches[static_cast<size_t>(action.microbatch)];
    if (!batch.sample_numbers.empty()) totals.tokens += static_cast<double>(batch.tokens_BS.numel());
  }
  return totals;
}

}  // namespace rialto::train
