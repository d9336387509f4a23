// How context-parallel ranks exchange what attention needs, as model.cp_comm_type says it.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rialto/config/run_config.h"
#include "rialto/spec/layout.h"

namespace rialto::config {

/// Nothing for a name that is none.
std::optional<spec::ContextWay> context_way(std::string_view name);
/// For spec::Layout. The names must be known.
std::vector<spec::ContextWay> context_ways(const ParallelKeys& parallel);
/// Ranks of one layer's attention that exchange heads: 1 where none do. `way`: of that layer.
int64_t heads_ranks(const ParallelKeys& parallel, spec::ContextWay way);

}  // namespace rialto::config
