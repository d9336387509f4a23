// Rotary embeddings in a config.json, both spellings: rope_theta + rope_scaling, and rope_parameters.
#pragma once

#include <optional>

#include "rialto/resolve/hf_config.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

struct Ropes {
  spec::Rope global;
  std::optional<spec::Rope> local;  ///< of layers with a window, where the family keeps them apart
};

/// `head_dim`: channels of a head that could turn. Throws kInput for a type other than default, linear, llama3, yarn
/// and (Phi-3) longrope, for a factor that is missing or not a positive number, for a key that the type does not use,
/// and for an odd number of channels. Source: transformers 5.23 modeling_rope_utils.py, RotaryEmbeddingConfigMixin.
Ropes read_ropes(const HfConfig& config, int64_t head_dim, int64_t max_positions);

/// The value of "rope_scaling": null without scaling.
Json write_rope_scaling(const spec::RopeScaling& scaling);

/// The share of a head that makes `dim` of its channels turn, when read as transformers reads it: rounded down.
double rotary_share(int64_t dim, int64_t head_dim);

}  // namespace rialto::resolve
