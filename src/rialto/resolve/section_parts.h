// Attention and feed-forward of a `model:` section.
#pragma once

#include <vector>

#include "rialto/resolve/section_source.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

// Each throws naming the key that is missing, out of range, or asks for what the family does not compute.

/// Everything of grouped-query attention but window and positions, which differ by layer. `norm`: of queries and keys.
spec::Attention read_section_attention(const SectionSource& source, int64_t hidden, const spec::Norm& norm);
/// Latent attention, positions included: the ranks of its latents (q_lora_rank absent: queries are projected at once),
/// and the sizes of a head's parts. Sizes are channels.
spec::LatentAttention read_section_latent(const SectionSource& source);

/// A layer without experts: ffn_hidden_size is the width of gate and of up each, in channels.
spec::DenseFfn read_section_dense(const SectionSource& source);
/// A layer with experts: their number and width, the router (scores, groups, bias, factor) and the shared expert.
spec::MoeFfn read_section_moe(const SectionSource& source);
/// The keys of the unit that dense layers and experts share, with add_bias_linear. `out_bias`: attention has one.
void check_section_unit(const SectionSource& source, bool some_moe, bool out_bias);

}  // namespace rialto::resolve
