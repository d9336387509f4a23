// Attention and feed-forward of a `model:` section.
#pragma once

#include <vector>

#include "rialto/resolve/section_source.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Everything of grouped-query attention but window and positions, which differ by layer. `norm`: of queries and keys.
spec::Attention read_section_attention(const SectionSource& source, int64_t hidden, const spec::Norm& norm);
spec::LatentAttention read_section_latent(const SectionSource& source);

spec::DenseFfn read_section_dense(const SectionSource& source);
spec::MoeFfn read_section_moe(const SectionSource& source);
/// The keys of the unit that dense layers and experts share, with add_bias_linear. `out_bias`: attention has one.
void check_section_unit(const SectionSource& source, bool some_moe, bool out_bias);

}  // namespace rialto::resolve
