// How the flat buffers are cut for data-parallel communication: a pure function of the weights, the bucket size and the
// number of ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "rialto/model/weights.h"
#include "rialto/optim/options.h"

namespace rialto::parallel {

using optim::Range;

/// Final norm, head and prediction blocks: their gradients are complete first.
inline constexpr int64_t kBehindAllLayers = INT64_MAX;
/// Where the backward pass completes a parameter's gradient: its decoder layer, -1 for an embedding, else
/// kBehindAllLayers.
int64_t layer_of(const spec::Param& param);

/// A run of elements [begin, end) that is reduced in one operation, over the ranks that hold the same weights.
struct Bucket {
  int64_t begin = 0, end = 0;
  /// Complete when the layers from this one on are: the smallest layer that has a weight in it. -1: an embedding is in
  /// it, so it is complete when the backward pass is over.
  int64_t first_layer = -1;
  bool experts = false;  ///< which other ranks hold than those that hold the same of the rest
};

/// In the order in which gradients become complete and buckets are reduced: from the end of the model to its beginning.
/// Every bucket is a multiple of lcm(ranks, 128) long, so that each of its ranks owns an equal share of it. Cuts do not
/// follow weights (Megatron's do, and it pads each bucket instead). `bucket_size`: elements, rounded up; `num_ranks`,
/// `expert_ranks`: that hold the same.
std::vector<Bucket> plan_buckets(const model::Weights& weights, int64_t bucket_size, int num_ranks, int expert_ranks);

/// The part of `bucket` that `rank` owns: its place in the order of ranks.
Range owned_part(const Bucket& bucket, int rank, int num_ranks);

}  // namespace rialto::parallel
