// What an exact write-back needs of a Hugging Face folder, kept inside a checkpoint as rialto_source/.
#pragma once

#include "rialto/source/hf_weights.h"
#include "rialto/store/checkpoint.h"

namespace rialto::source {

/// config.json, tokenizer and template files, the layout of the shards, tensors that have no place in the model, and
/// the scales (and shapes) of coded tensors.
void keep_source(store::CheckpointWriter& writer, const HfWeights& weights);

}  // namespace rialto::source
