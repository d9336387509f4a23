// The runner of one stage: plays schedule actions against a model. Losses are (sum, weight) and divided once, by the
// weight of the whole global batch, so micro-batches count by their tokens.
#pragma once

#include <functional>
#include <vector>

#include "rialto/model/model.h"
#include "rialto/train/batches.h"
#include "rialto/train/records.h"

namespace rialto::train {

struct Iteration {
  double loss = 0;                          ///< mean next-token loss
  ExtraLosses extra;                        ///< of every micro-batch that was run backward
  std::vector<model::RoutedTokens> routed;  ///< of every micro-batch
};

/// What the runner leaves to its caller.
struct RunnerCalls {
  double loss_scale = 1;                                     ///< gradients come out times this
  std::function<void()> expect_last_backward;                ///< told before it
  std::function<void()> reduce_grads;                        ///< sums gradients over data-parallel ranks; empty: one
  std::function<void(std::vector<double>&)> sum_over_ranks;  ///< the same for sums of losses
  std::function<void()> step;                                ///< sees the finished gradients; empty: nothing moves
};

/// Plays pipeline_order of one stage: forward and backward per micro-batch, reduce_grads, step. Gradients are those of
/// the mean loss (over batch.total_weight, of all ranks) and of what the model's objective adds to it, added to
/// main_grad (zeroed first). When the loss is not finite, `step` is not called. Throws kInput when every token of the
/// batch is masked.
Iteration run_iteration(const model::Model& model, model::Weights& weights, const GlobalBatch& batch,
                        const RunnerCalls& calls);

/// Mean loss over the batch, nothing kept for a backward pass.
model::LossSum forward_only(const model::Model& model, const model::Batch& batch);

}  // namespace rialto::train
