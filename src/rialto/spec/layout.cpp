// Ranks and their coordinates; which layers a pipeline stage holds.
#include "rialto/spec/layout.h"

#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::spec {

ContextWay Layout::context_way(std::optional<int64_t> layer) const {
  if (context_ways.empty()) return ContextWay::kRing;
  if (context_ways.size() == 1 || !layer) return context_ways.back();
  return context_ways.at(static_cast<size_t>(*layer));
}

Coords coords_of(const Layout& layout, int rank) {
  if (rank < 0 || rank >= layout.world())
    throw Error(ErrorKind::kInternal, "spec.layout", "rank outside the world",
                {.got = fmt::to_string(rank), .want = fmt::format("0 to {}", layout.world() - 1)});
  Coords coords;
  coords.tp = rank % layout.tp;
  rank /= layout.tp;
  coords.cp = rank % layout.cp;
  rank /= layout.cp;
  coords.dp = rank % layout.dp;
  coords.pp = rank / layout.dp;
  return coords;
}

int rank_of(const Layout& layout, const Coords& coords) {
  return coords.tp + layout.tp * (coords.cp + layout.cp * (coords.dp + layout.dp * coords.pp));
}

int Layout::edp() const {
  const int ranks = tp * cp * dp;
  if (ranks % (etp * ep) != 0)
    throw Error(ErrorKind::kConfig, "expert_model_parallel_size", "the ranks of a stage are not whole sets of experts",
                {.got = fmt::format("{} ranks with etp {} ep {}", ranks, etp, ep), .want = "a multiple of etp x ep"});
  return ranks / (etp * ep);
}

ExpertCoords expert_coords_of(const Layout& layout, const Coords& coords) {
  const int rank = rank_of(layout, {.tp = coords.tp, .cp = coords.cp, .dp = coords.dp, .pp = 0});
  return {.etp = rank % layout.etp, .ep = rank / layout.etp % layout.ep, .edp = rank / (layout.etp * layout.ep)};
}

StageRange stage_range(int64_t num_layers, const Layout& layout, int pp_rank, int chunk) {
  const int num_stages = layout.pp * layout.vpp;
  const int stage = chunk * layout.pp + pp_rank;
  const std::vector<int64_t>& given = layout.stage_layers;
  if (!given.empty()) {
    if (given.size() != static_cast<size_t>(num_stages) ||
        std::accumulate(given.begin(), given.end(), int64_t{0}) != num_layers)
      throw Error(ErrorKind::kInternal, "spec.layout", "layers of stages that are not the model's");
    const int64_t first = std::accumulate(given.begin(), given.begin() + stage, int64_t{0});
    return {.embedding = stage == 0,
            .head = stage == num_stages - 1,
            .first = first,
            .last = first + given[static_cast<size_t>(stage)]};
  }
  if (num_stages < 1 || num_layers % num_stages != 0)
    throw Error(ErrorKind::kConfig, "pipeline_model_parallel_size", "does not divide the layers evenly",
                {.got = fmt::format("{} layers on {} stages", num_layers, num_stages),
                 .want = "a number of stages that divides the number of layers"});
  const int64_t per_stage = num_layers / num_stages;
  return {.embedding = stage == 0,
          .head = stage == num_stages - 1,
          .first = stage * per_stage,
          .last = (stage + 1) * per_stage};
}

}  // namespace rialto::spec
