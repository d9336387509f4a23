// How a model is spread over ranks. All sizes 1 is one process; every function that places something takes a Layout.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rialto::spec {

/// How context-parallel ranks exchange what attention needs: keys and values are gathered, heads change places with
/// tokens, keys and values go round a ring, or heads among neighbours and a ring of those. Megatron's cp_comm_type
/// calls them all_gather, a2a, p2p and a2a+p2p.
enum class ContextWay { kGather, kHeads, kRing, kHeadsAndRing };

struct Layout {
  int tp = 1, cp = 1, dp = 1, pp = 1, vpp = 1, ep = 1, etp = 1;
  bool sp = false;  ///< sequence parallel: outside of what they share of a layer, tp ranks each have some tokens
  std::vector<int64_t> stage_layers = {};     ///< of each of the pp * vpp stages; empty: the same number in each
  std::vector<ContextWay> context_ways = {};  ///< of each decoder layer, or one of all; empty: kRing
  int cp_inner =
      1;  ///< of kHeadsAndRing: so many neighbours on cp exchange heads; those at the same place in each form a ring
  int world() const { return tp * cp * dp * pp; }
  /// Of a decoder layer; without a number, of what follows the last one.
  ContextWay context_way(std::optional<int64_t> layer) const;
};

/// Coordinates of a rank on the axes. Source of the order (tp fastest, then cp, dp, pp): Megatron-Core parallel_state.
struct Coords {
  int tp = 0, cp = 0, dp = 0, pp = 0;
};
Coords coords_of(const Layout& layout, int rank);
int rank_of(const Layout& layout, const Coords& coords);

/// Which part of the model a pipeline stage holds: embedding, layers [first, last), head. Chunk c of pipeline rank r is
/// stage c * pp + r.
struct StageRange {
  bool embedding = true, head = true;
  int64_t first = 0, last = 0;
};
/// Throws kConfig when the stages do not share num_layers: unevenly where stage_layers does not say so.
StageRange stage_range(int64_t num_layers, const Layout& layout, int pp_rank, int chunk = 0);

}  // namespace rialto::spec
