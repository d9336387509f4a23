// The runner of one stage.
#include "rialto/train/step.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/schedule/actions.h"

namespace rialto::train {
namespace {

/// Losses of depths over the micro-batches of an iteration, in fp64.
class DepthMeans {
 public:
  void add(const std::vector<model::DepthLoss>& depths) {
    if (depths.size() > sums_.size()) sums_.resize(depths.size());
    for (size_t m = 0; m < depths.size(); ++m) {
      sums_[m].first += depths[m].sum.item<double>();
      sums_[m].second += depths[m].weight;
    }
  }
  std::vector<double> means() const {
    std::vector<double> means;
    for (const auto& [sum, weight] : sums_) means.push_back(weight > 0 ? sum / weight : 0);
    return means;
  }

 private:
  std::vector<std::pair<double, double>> sums_;
};

}  // namespace

Iteration run_iteration(const model::Model& model, model::Weights& weights, const GlobalBatch& batch,
                        const std::function<void()>& step) {
  if (!(batch.total_weight > 0)) {
    throw Error(ErrorKind::kInput, fmt::format("sample {}", batch.micro_batches.front().sample_numbers.front()),
                "no token of this global batch carries a loss");
  }
  const double scale = 1.0 / batch.total_weight;
  weights.zero_grad();
  std::vector<model::LossSum> losses(batch.micro_batches.size());
  Iteration result;
  double sum = 0;
  DepthMeans depths;
  for (const schedule::Action& action : schedule::pipeline_order({}, 0, static_cast<int>(losses.size()))) {
    const auto micro = static_cast<size_t>(action.microbatch);
    switch (action.act) {
      case schedule::Act::kForward:
        losses[micro] = model.forward_loss(batch.micro_batches[micro]);
        for (model::RoutedTokens& tokens : losses[micro].routed) result.routed.push_back(std::move(tokens));
        break;
      case schedule::Act::kBackward:
        sum += losses[micro].sum.item<double>();
        depths.add(losses[micro].mtp);
        // A gradient of a loss that is not finite would only spread it.
        if (std::isfinite(sum)) model::backward(losses[micro], scale);
        losses[micro] = {};
        break;
      case schedule::Act::kReduceGrads:
        break;  // one data-parallel rank: its gradients are the sum
      case schedule::Act::kStep:
        if (std::isfinite(sum)) step();
        break;
      default:
        throw Error(ErrorKind::kInternal, "schedule", "an action that one stage does not have",
                    {.got = schedule::to_text(action), .want = {}, .hint = {}});
    }
  }
  result.loss = sum * scale;
  result.mtp_losses = depths.means();
  return result;
}

model::LossSum forward_only(const model::Model& model, const model::Batch& batch) {
  const at::NoGradGuard no_grad;
  return model.forward_loss(batch);
}

}  // namespace rialto::train
