// Which layers of a config.json are of which kind.
#pragma once

#include <optional>
#include <vector>

#include "rialto/resolve/hf_config.h"

namespace rialto::resolve {

/// The window of each layer, in keys; none: full attention. Throws kInput for a pattern that does not fit the layers.
/// Source: transformers 5.23, layer_types of configuration_{qwen2,gemma2,gemma3,gpt_oss,exaone4}.py.
std::vector<std::optional<int64_t>> read_windows(const HfConfig& config, int64_t num_layers);

/// True for each layer with experts; all false for a family without. Source: transformers 5.23, the decoder layers of
/// qwen3_moe, deepseek_v3, ernie4_5_moe and hy_v3.
std::vector<bool> read_moe_layers(const HfConfig& config, int64_t num_layers);

}  // namespace rialto::resolve
