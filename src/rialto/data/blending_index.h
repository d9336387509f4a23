// Which source gives the i-th sample of a blend, and which of its samples. Source: megatron/core/datasets/helpers.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rialto::data {

struct BlendingIndex {
  std::vector<int16_t> sources;  ///< of each sample
  std::vector<int64_t> samples;  ///< its number in that source: 0, 1, 2, ... for each source
};

/// `size` samples, each from the source that is furthest behind its weight (the first of equals).
BlendingIndex blend_by_weight(std::span<const double> weights, int64_t size);

/// Exactly sizes[i] samples of each source, in the same way; a source that is used up is left out from then on.
BlendingIndex blend_everything(std::span<const int64_t> sizes);

}  // namespace rialto::data
