// Cutting the flat buffers.
#include "rialto/parallel/buckets.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::parallel {

int64_t layer_of(const spec::Param& param) {
  if (param.stack == spec::Stack::kEmbedding) return -1;
  return param.stack == spec::Stack::kDecoder ? param.layer : kBehindAllLayers;
}

std::vector<Bucket> plan_buckets(const model::Weights& weights, int64_t bucket_size, int num_ranks, int expert_ranks) {
  std::vector<Bucket> buckets;
  const auto cut = [&](int64_t begin, int64_t end, int ranks, bool experts) {
    const int64_t unit = std::lcm<int64_t>(ranks, 128);
    if (ranks > 1 && (end - begin) % unit != 0) {
      throw Error(ErrorKind::kInternal, "buckets", "the flat buffers were laid out for another number of ranks",
                  {.got = fmt::format("{} elements", end - begin), .want = fmt::format("a multiple of {}", unit)});
    }
    const int64_t size = std::min(end - begin, (std::max<int64_t>(1, bucket_size) - 1) / unit * unit + unit);
    for (int64_t stop = end; stop > begin; stop -= size)
      buckets.push_back({std::max(begin, stop - size), stop, kBehindAllLayers, experts});
  };
  cut(0, weights.experts_begin(), num_ranks, false);
  cut(weights.experts_begin(), weights.flat_size(), expert_ranks, true);
  for (const model::Weight& weight : weights.all()) {
    if (weight.param.buffer) continue;
    const int64_t layer = layer_of(weight.param);
    for (Bucket& bucket : buckets) {
      if (weight.offset < bucket.end && weight.offset + weight.size > bucket.begin)
        bucket.first_layer = std::min(bucket.first_layer, layer);
    }
  }
  std::ranges::stable_sort(buckets, std::greater(), &Bucket::first_layer);
  return buckets;
}

Range owned_part(const Bucket& bucket, int rank, int num_ranks) {
  const int64_t share = (bucket.end - bucket.begin) / num_ranks;
  return {bucket.begin + share * rank, bucket.begin + share * (rank + 1)};
}

}  // namespace rialto::parallel
