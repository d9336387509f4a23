// Which rows of an epoch share a sample: packed while they are read, window by window of the epoch's order.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "rialto/data/epoch_order.h"
#include "rialto/data/packing.h"

namespace rialto::data {

struct RowBinsOptions {
  int64_t capacity = 0;  ///< tokens of a bin
  int64_t multiple = 1;  ///< of the room that a row takes
  int64_t window = 0;    ///< rows that are packed together; 0: an epoch's
  int64_t seed = 1234;
  bool shuffled = true;  ///< each epoch in an order of its own
};

/// Each epoch has every row once. Its order is cut into windows; the rows of a window are packed by falling length
/// (first fit), and its bins follow each other. So the bins of an epoch hang on lengths, options and the epoch's number
/// alone, and rows are read no further apart than a window. Epochs may differ by some bins. Thread-safe.
class RowBins {
 public:
  /// `starts`: where each row of tokens begins, and their number; it must outlive this. Throws kInput for a row that is
  /// longer than a bin.
  RowBins(std::span<const int64_t> starts, const RowBinsOptions& options);

  struct Place {
    int64_t epoch = 0, bin = 0;
  };
  /// Of bin `index` of all epochs one after the other. The first call for a late epoch packs those before it.
  Place place(int64_t index) const;
  /// The rows of a bin, in the order in which they were put there.
  std::vector<int64_t> rows(const Place& place) const;
  int64_t bins_of(int64_t epoch) const;
  int64_t num_rows() const { return static_cast<int64_t>(rooms_.size()); }

 private:
  struct Epoch {
    std::vector<int64_t> ends, rows;  ///< as in Bins, of all windows
  };
  using Packed = std::shared_ptr<const Epoch>;
  Packed epoch(int64_t number) const;
  Packed make(int64_t number) const;
  /// Bins of the epochs before each one, up to one that begins behind `index` or is numbered `upto`.
  void count_bins(int64_t index, int64_t upto) const;

  RowBinsOptions options_;
  std::vector<int32_t> rooms_;  ///< by row
  EpochOrder order_;
  mutable std::mutex mutex_;
  mutable std::vector<int64_t> begins_{0};
  mutable std::array<std::pair<int64_t, Packed>, 2> kept_;
};

}  // namespace rialto::data
