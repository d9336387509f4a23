// Cutting the flat buffers.
#include "rialto/parallel/buckets.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::parallel {

int64_t layer_of(const spec::Param& param) {
  if (param.stack == spec::Stack::kEmbedding) return -1;
  return param.stack == spec::Stack::kDecoder ? param.layer : kBehindAllLayers;
}

std::vector<Bucket> plan_buckets(const model::Weights& weights, int64_t bucket_size, int num_ranks) {
  const int64_t unit = std::lcm<int64_t>(num_ranks, 128), total = weights.flat_size();
  if (total % unit != 0) {
    throw Error(ErrorKind::kInternal, "buckets", "the flat buffers were laid out for another number of ranks",
                {.got = fmt::format("{} elements", total), .want = fmt::format("a multiple of {}", unit)});
  }
  const int64_t size = std::min(total, (std::max<int64_t>(1, bucket_size) - 1) / unit * unit + unit);
  std::vector<Bucket> buckets;
  for (int64_t end = total; end > 0; end -= size)
    buckets.push_back({std::max<int64_t>(0, end - size), end, kBehindAllLayers});
  for (const model::Weight& weight : weights.all()) {
    if (weight.param.buffer) continue;
    const int64_t layer = layer_of(weight.param);
    for (Bucket& bucket : buckets) {
      if (weight.offset < bucket.end && weight.offset + weight.size > bucket.begin)
        bucket.first_layer = std::min(bucket.first_layer, layer);
    }
  }
  return buckets;
}

Range owned_part(const Bucket& bucket, int rank, int num_ranks) {
  const int64_t share = (bucket.end - bucket.begin) / num_ranks;
  return {bucket.begin + share * rank, bucket.begin + share * (rank + 1)};
}

std::vector<Range> owned_ranges(const std::vector<Bucket>& buckets, int rank, int num_ranks) {
  std::vector<Range> ranges;
  for (auto bucket = buckets.rbegin(); bucket != buckets.rend(); ++bucket)
    ranges.push_back(owned_part(*bucket, rank, num_ranks));
  return ranges;
}

}  // namespace rialto::parallel
