// The order of an epoch's rows: drawn anew for each, from the seed and the epoch's number alone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace rialto::data {

/// Thread-safe. Keeps the last two epochs: a batch may lie in both.
class EpochOrder {
 public:
  using Rows = std::shared_ptr<const std::vector<int64_t>>;
  /// `shuffled`: as numpy.random.RandomState(seed + epoch).shuffle does; else rows come as they stand.
  EpochOrder(int64_t rows, int64_t seed, bool shuffled) : rows_(rows), seed_(seed), shuffled_(shuffled) {}
  Rows operator()(int64_t epoch) const;

 private:
  int64_t rows_, seed_;
  bool shuffled_;
  mutable std::mutex mutex_;
  mutable std::array<std::pair<int64_t, Rows>, 2> drawn_;
};

}  // namespace rialto::data
