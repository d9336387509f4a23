// Cutting the flat buffers.
#include "rialto/parallel/buckets.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string_view>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::parallel {
namespace {

constexpr int64_t kBehindAllLayers = INT64_MAX;

/// The layer of a weight: "decoder.layers.3.mlp..." is 3. Final norm, head and prediction blocks come after all layers.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "decoder.layers.";
  if (name.starts_with("embedding.")) return -1;
  if (!name.starts_with(kLayers)) return kBehindAllLayers;
  name.remove_prefix(kLayers.size());
  int64_t layer = -1;
  std::from_chars(name.data(), name.data() + name.size(), layer);
  return layer;
}

}  // namespace

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
    const int64_t layer = layer_of(weight.param.name);
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
