// The state of delayed FP8 scaling in a checkpoint: two tensors over all layers that have it, in the order of their
// weights' names. Inside checkpoint only.
#pragma once

#include "rialto/model/block_recipes.h"
#include "rialto/store/checkpoint.h"

namespace rialto::checkpoint {

/// `rialto.fp8.amax_history` [layers, history length, 3], newest first, and `rialto.fp8.scale` [layers, 3]: of input,
/// weight and output gradient. Nothing without delayed scaling.
void add_fp8_state(store::CheckpointWriter& writer, model::BlockRecipes& recipes);

}  // namespace rialto::checkpoint
