// Which layers each pipeline stage holds, by model.pipeline_model_parallel_layout or by the keys beside it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "rialto/config/run_config.h"

namespace rialto::config {

/// What one stage holds. With S = stages / pipeline size, stage i is chunk i / size of pipeline rank i % size.
struct LayoutStage {
  int64_t embedding = 0, decoders = 0, mtp = 0, loss = 0;
};

/// Stages apart by `|`; E the embedding, t a decoder layer, m a block of multi-token prediction, L the loss; `x*n` and
/// `(...)*n` repeat, and what stands in brackets may hold `|`; commas and blanks mean nothing: "Et*3|(tt|)*29mL".
/// Throws kConfig for another character, a repetition of nothing, brackets inside brackets and more than 2^16 layers.
/// Source of the grammar: Megatron-Core 0.16.1 pipeline_parallel_layer_layout.py.
std::vector<LayoutStage> parse_pipeline_layout(std::string_view text);

/// The order of E, t, m, L over all stages: embedding first and once, loss last and once, predictions behind the
/// decoder, all in one stage. Returns what is wrong, or "".
std::string_view misplaced_layer(const std::vector<LayoutStage>& stages);

/// Stages of a pipeline rank.
int64_t pipeline_chunks(const ParallelKeys& keys);

/// Decoder layers of each of pipeline size x chunks stages; empty: the same number in each. For keys that passed the
/// rules. Source: Megatron-Core 0.16.1 transformer_block.py, get_num_layers_to_build.
std::vector<int64_t> layers_of_stages(const ParallelKeys& keys, int64_t num_layers);

}  // namespace rialto::config
