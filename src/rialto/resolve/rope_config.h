// Rotary embeddings in a config.json, both spellings: rope_theta + rope_scaling, and rope_parameters.
#pragma once

#include "rialto/resolve/hf_config.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Throws kInput for a type other than default, linear and llama3, for a factor that is missing or not a positive
/// number, and for a key that the type does not use. `dim` is left to the caller.
/// Source: transformers 5.23 modeling_rope_utils.py, RotaryEmbeddingConfigMixin.
spec::Rope read_rope(const HfConfig& config, int64_t max_positions);

/// The value of "rope_scaling": null without scaling.
Json write_rope_scaling(const spec::RopeScaling& scaling);

}  // namespace rialto::resolve
