// Source of the names: Megatron-Core 0.16.1 transformer_config.py, cp_comm_type.
#include "rialto/config/context_ways.h"

namespace rialto::config {
namespace {

using enum spec::ContextWay;

struct Name {
  std::string_view name;
  spec::ContextWay way;
};
constexpr Name kNames[] = {{"p2p", kRing}, {"all_gather", kGather}, {"a2a", kHeads}, {"a2a+p2p", kHeadsAndRing}};

}  // namespace

std::optional<spec::ContextWay> context_way(std::string_view name) {
  for (const Name& known : kNames)
    if (known.name == name) return known.way;
  return {};
}

std::vector<spec::ContextWay> context_ways(const ParallelKeys& parallel) {
  std::vector<spec::ContextWay> ways;
  for (const std::string& name : parallel.cp_comm_type) ways.push_back(context_way(name).value());
  return ways;
}

int64_t heads_ranks(const ParallelKeys& parallel, spec::ContextWay way) {
  if (way == kHeads) return parallel.context_parallel_size;
  if (way == kHeadsAndRing && !parallel.hierarchical_context_parallel_sizes.empty())
    return parallel.hierarchical_context_parallel_sizes.front();
  return 1;
}

}  // namespace rialto::config
