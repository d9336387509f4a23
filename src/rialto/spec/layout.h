// How a model is spread over ranks. All sizes 1 is one process; every function that places something takes a Layout.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rialto::spec {

/// How tokens reach experts on other ranks: all of them are gathered, or rows travel. By Megatron's names.
enum class TokenDispatcher { kAllGather, kAllToAll };

/// How context-parallel ranks exchange what attention needs: keys and values are gathered, heads change places with
/// tokens, keys and values go round a ring, or heads among neighbours and a ring of those. Megatron's cp_comm_type
/// calls them all_gather, a2a, p2p and a2a+p2p.
enum class ContextWay { kGather, kHeads, kRing, kHeadsAndRing };

struct Layout {
  int tp = 1, cp = 1, dp = 1, pp = 1, vpp = 1, ep = 1, etp = 1;
  int key_copies = 1;  ///< tensor-parallel neighbours that hold the same key/value head, where heads are fewer than tp
  bool sp = false;     ///< sequence parallel: outside of what they share of a layer, tp ranks each have some tokens
  TokenDispatcher dispatcher = TokenDispatcher::kAllGather;
  std::vector<int64_t> stage_layers = {};     ///< of each of the pp * vpp stages; empty: the same number in each
  std::vector<ContextWay> context_ways = {};  ///< of each decoder layer, or one of all; empty: kRing
  /// Of kHeadsAndRing: so many neighbours on cp exchange heads; those at the same place in each form a ring.
  int cp_inner = 1;
  int world() const { return tp * cp * dp * pp; }
  /// Ranks that hold the same experts. Throws kConfig when those of a stage are not whole sets of experts.
  int edp() const;
  /// Of a decoder layer; without a number, of what follows the last one.
  ContextWay context_way(std::optional<int64_t> layer) const;
};

/// Coordinates of a rank on the axes. Source of the order (tp fastest, then cp, dp, pp): Megatron-Core parallel_state.
struct Coords {
  int tp = 0, cp = 0, dp = 0, pp = 0;
};
Coords coords_of(const Layout& layout, int rank);
int rank_of(const Layout& layout, const Coords& coords);

/// Experts have a grid of their own over the ranks of a stage: etp fastest, then ep, then the ranks that hold the same.
/// Source: Megatron-Core parallel_state.py, expert_decoder_rank_generator.
struct ExpertCoords {
  int etp = 0, ep = 0, edp = 0;
};
ExpertCoords expert_coords_of(const Layout& layout, const Coords& coords);

/// Which part of the model a pipeline stage holds: embedding, layers [first, last), head. Chunk c of pipeline rank r is
/// stage c * pp + r.
struct StageRange {
  bool embedding = true, head = true;
  int64_t first = 0, last = 0;
};
/// Throws kConfig when the stages do not share num_layers: unevenly where stage_layers does not say so.
StageRange stage_range(int64_t num_layers, const Layout& layout, int pp_rank, int chunk = 0);

}  // namespace rialto::spec
