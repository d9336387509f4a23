// Which rows share a bin: a pure function of their lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rialto::data {

enum class PackAlgorithm {
  kFirstFit,            ///< rows in order, each into the first bin that has room
  kFirstFitShuffle,     ///< first fit over the rows in a drawn order
  kFirstFitDecreasing,  ///< first fit over the rows by falling length, equal ones in order
  kBestFit,             ///< rows in order, each into the fullest bin that has room; of equal ones the first
};

/// Rows of each bin, in the order in which they were put there.
struct Bins {
  std::vector<int64_t> ends;   ///< of each bin in `rows`
  std::vector<uint32_t> rows;  ///< numbers of rows, bin by bin

  size_t count() const { return ends.size(); }
  std::span<const uint32_t> operator[](size_t bin) const;
};

/// Every row in exactly one bin, no bin over `capacity`. O(n log n). The same bins as a scan of all open bins for every
/// row would make. `seed` is for kFirstFitShuffle. Throws kConfig for a capacity below 1 or more than 2^32 rows,
/// kInput for a row that is longer than the capacity.
Bins pack(std::span<const int32_t> lengths, int64_t capacity, PackAlgorithm algorithm, uint64_t seed = 0);

/// Tokens over room, 0 to 1.
double efficiency(std::span<const int32_t> lengths, const Bins& bins, int64_t capacity);

}  // namespace rialto::data
