// The runner of one stage: plays schedule actions against a model. Losses are (sum, weight).
#pragma once

#include <functional>
#include <vector>

#include "rialto/model/model.h"
#include "rialto/train/batches.h"
#include "rialto/train/phases.h"
#include "rialto/train/records.h"
#include "rialto/train/train.h"

namespace rialto::train {

struct Iteration {
  double loss = 0;                          ///< mean next-token loss
  ExtraLosses extra;                        ///< of every micro-batch that was run backward
  std::vector<model::RoutedTokens> routed;  ///< of every micro-batch
};

/// What the runner leaves to its caller.
struct RunnerCalls {
  ForwardStep forward_step = {};                    ///< empty: model.forward_loss
  bool per_token = true;                            ///< see gradient_scale
  double loss_scale = 1;                            ///< gradients come out times this
  std::function<void()> expect_last_backward = {};  ///< told before it
  std::function<void()> reduce_grads = {};          ///< sums gradients over data-parallel ranks; empty: one
  std::function<void(std::vector<double>&)> sum_over_ranks = {};  ///< the same for sums of losses
  std::function<void(double loss)> step = {};                     ///< the gradients are finished; empty: nothing moves
  Phases* phases = nullptr;  ///< gets the time of forward, backward, reduction and step
};

/// What a micro-batch's loss sum is multiplied with in the objective. Per token: 1 / total weight, so tokens count
/// alike. Else Megatron's default: its mean over its own tokens (at least 1), averaged over the micro-batches.
double gradient_scale(bool per_token, double total_weight, double micro_weight, size_t num_micro_batches);

/// Plays pipeline_order of one stage: forward and backward per micro-batch, reduce_grads, step. Gradients are those of
/// the objective (over the global batch of all ranks) and of what the model's objective adds to it, added to main_grad
/// (zeroed first). When the loss is not finite, `step` is not called. The loss that is returned is the sum over the
/// total weight in either case. Throws kInput when every token of the batch is masked, kUsage when a forward step's
/// weight is not that of the batch, or its loss has no gradient.
Iteration run_iteration(const model::Model& model, model::Weights& weights, const GlobalBatch& batch,
                        const RunnerCalls& calls);

/// Mean loss over the batch, nothing kept for a backward pass.
model::LossSum forward_only(const model::Model& model, const model::Batch& batch, const ForwardStep& forward_step = {});

}  // namespace rialto::train
