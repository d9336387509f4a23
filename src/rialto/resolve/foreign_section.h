// Values of another program's `model:` section that stand for a choice or for many layers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/resolve/yaml_section.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Refuses what makes another model, or is not there and cannot be derived. Throws kInput naming the key.
void check_foreign(const YamlSection& model, bool latent);

DType foreign_dtype(const YamlSection& model);

/// [keys before the query, keys after it], with window_attn_skip_freq: every Nth layer goes without, or one flag per
/// layer. Source: Megatron-Core transformer/utils.py, is_layer_window_attention.
std::vector<std::optional<int64_t>> foreign_windows(const YamlSection& model, int64_t num_layers);

/// moe_layer_freq: every Nth layer from the first, or one flag per layer. Source: Megatron-Core gpt_layer_specs.py.
std::vector<bool> foreign_moe_layers(const YamlSection& model, int64_t num_layers);

/// Megatron's llama3 scaling knows the factor only. `dim` and pairing are left to the caller.
spec::Rope foreign_rope(const YamlSection& model);
/// Of latent attention.
spec::Rope foreign_latent_rope(const YamlSection& model);

}  // namespace rialto::resolve
