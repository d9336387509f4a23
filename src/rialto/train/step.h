// The runner of one stage: plays schedule actions against a model. Losses are (sum, weight) and divided once, by the
// weight of the whole global batch, so micro-batches count by their tokens.
#pragma once

#include <functional>

#include "rialto/model/model.h"
#include "rialto/train/batches.h"

namespace rialto::train {

/// Plays pipeline_order of one stage: forward and backward per micro-batch, then `step`, which sees the finished
/// gradients. Returns the mean loss. Gradients are those of the mean loss, added to main_grad (zeroed first).
/// When the loss is not finite, `step` is not called. Throws kInput when every token of the batch is masked.
double run_iteration(const model::Model& model, model::Weights& weights, const GlobalBatch& batch,
                     const std::function<void()>& step);

/// Mean loss over the batch, nothing kept for a backward pass.
model::LossSum forward_only(const model::Model& model, const model::Batch& batch);

}  // namespace rialto::train
