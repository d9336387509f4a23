// Which layers of a `model:` section are of which kind.
#pragma once

#include <optional>
#include <vector>

#include "rialto/resolve/section_source.h"

namespace rialto::resolve {

/// One entry per layer.
struct SectionLayers {
  std::vector<std::optional<int64_t>> windows;
  std::vector<bool> no_rope, moe;
  bool mixed = false;  ///< some layer has a window, or none has positions
};

/// window_size with window_attn_skip_freq (Megatron-Core transformer/utils.py, is_layer_window_attention) or with the
/// pattern of Gemma's providers; no_rope_freq (transformer_config.py: every Nth layer); moe_layer_freq
/// (gpt_layer_specs.py: every Nth layer from the first). Each may be a flag per layer. [n, 0] is a window of n + 1
/// keys.
SectionLayers read_section_layers(const SectionSource& source);

}  // namespace rialto::resolve
