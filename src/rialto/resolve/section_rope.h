// Rotary embeddings of a `model:` section.
#pragma once

#include <optional>

#include "rialto/resolve/section_source.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// How the channels of queries and keys turn.
struct SectionRopes {
  spec::Rope global;
  std::optional<spec::Rope> local;  ///< of layers with a window, where the family has another for them
};

/// Of `head_dim` channels, rotary_percent turn. Megatron-Core's llama3 scaling knows a factor only; the numbers beside
/// it may be said in Bridge's names for them.
SectionRopes read_section_ropes(const SectionSource& source, int64_t head_dim);

/// Of latent attention: all `dim` channels turn. A Megatron file without rope_type has YaRN.
spec::Rope read_latent_rope(const SectionSource& source, int64_t dim);

}  // namespace rialto::resolve
