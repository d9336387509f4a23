// The runner of a rank's stages: plays schedule actions against them. Losses are (sum, weight).
#pragma once

#include <functional>
#include <vector>

#include "rialto/model/model.h"
#include "rialto/train/batches.h"
#include "rialto/train/phases.h"
#include "rialto/train/records.h"
#include "rialto/train/stages.h"
#include "rialto/train/train.h"

namespace rialto::train {

struct Iteration {
  double loss = 0;                          ///< mean next-token loss
  ExtraLosses extra;                        ///< of every micro-batch that was run backward
  std::vector<model::RoutedTokens> routed;  ///< of every micro-batch
};

/// What the runner leaves to its caller.
struct RunnerCalls {
  ForwardStep forward_step = {};                                  ///< empty: model.forward_loss
  bool per_token = true;                                          ///< see gradient_scale
  double loss_scale = 1;                                          ///< gradients come out times this
  std::function<void()> expect_last_backward = {};                ///< told before it
  std::function<void()> reduce_grads = {};                        ///< sums gradients over ranks; empty: one
  std::function<void(std::vector<double>&)> sum_over_ranks = {};  ///< the same for sums of losses, over all stages
  std::function<void(double loss)> step = {};                     ///< the gradients are finished; empty: nothing moves
  Phases* phases = nullptr;  ///< gets the time of forward, backward, reduction and step
};

/// What a micro-batch's loss sum is multiplied with in the objective. Per token: 1 / total weight, so tokens count
/// alike. Else Megatron's default: its mean over its own tokens (at least 1), averaged over the micro-batches.
double gradient_scale(bool per_token, double total_weight, double micro_weight, size_t num_micro_batches);

/// Plays pipeline_order: forward and backward per micro-batch and stage, reduce_grads, step. Gradients are those of
/// the objective (over the global batch of all ranks) and of what the model's objective adds to it, added to main_grad
/// (zeroed first). When the loss is not finite, `step` is not called. The loss that is returned is the sum over the
/// total weight in either case. Throws kInput when every token of the batch is masked, kUsage when a forward step's
/// weight is not that of the batch, or its loss has no gradient.
Iteration run_iteration(const Stages& stages, model::Weights& weights, const GlobalBatch& batch,
                        const RunnerCalls& calls);

/// What the last stage found of the micro-batches, nothing kept for a backward pass; zeros on ranks without it.
struct Totals {
  double loss_sum = 0, weight = 0, tokens = 0;
};
Totals forward_only(const Stages& stages, const std::vector<model::Batch>& micro_batches,
                    const ForwardStep& forward_step = {});

}  // namespace rialto::train
