// Greedy: the largest error between the samples that a weight asks for and those given.
#include "rialto/data/blending_index.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace rialto::data {
namespace {

/// `left`: samples that each source may still give.
BlendingIndex blend(std::span<const double> weights, std::vector<int64_t> left, int64_t size) {
  BlendingIndex index;
  index.sources.reserve(static_cast<size_t>(size));
  index.samples.reserve(static_cast<size_t>(size));
  std::vector<int64_t> given(weights.size());
  for (int64_t sample = 0; sample < size; ++sample) {
    const double place = std::max(static_cast<double>(sample), 1.0);
    double most = std::numeric_limits<double>::lowest();
    size_t next = 0;
    for (size_t source = 0; source < weights.size(); ++source) {
      const double error = weights[source] * place - static_cast<double>(given[source]);
      if (error > most && left[source] > 0) {
        most = error;
        next = source;
      }
    }
    index.sources.push_back(static_cast<int16_t>(next));
    index.samples.push_back(given[next]++);
    --left[next];
  }
  return index;
}

}  // namespace

BlendingIndex blend_by_weight(std::span<const double> weights, int64_t size) {
  return blend(weights, std::vector<int64_t>(weights.size(), size), size);
}

BlendingIndex blend_everything(std::span<const int64_t> sizes) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  std::vector<double> weights;
  for (const int64_t size : sizes) weights.push_back(static_cast<double>(size) / static_cast<double>(total));
  return blend(weights, {sizes.begin(), sizes.end()}, total);
}

}  // namespace rialto::data
