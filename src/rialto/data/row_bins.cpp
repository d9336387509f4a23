// Windows of rows, packed.
#include "rialto/data/row_bins.h"

#include <algorithm>
#include <limits>

#include "rialto/base/error.h"
#include "rialto/data/packed_row.h"

namespace rialto::data {

RowBins::RowBins(std::span<const int64_t> starts, const RowBinsOptions& options)
    : options_(options),
      rooms_(starts.size() - 1),
      order_(static_cast<int64_t>(rooms_.size()), options.seed, options.shuffled) {
  if (options_.window == 0) options_.window = num_rows();
  for (size_t row = 0; row < rooms_.size(); ++row) {
    const int64_t room = room_of(starts[row + 1] - starts[row], options_.multiple);
    if (room > options_.capacity)
      throw Error(ErrorKind::kInput, "packing", "row " + std::to_string(row) + " fits no sample",
                  {.got = std::to_string(room), .want = "at most " + std::to_string(options_.capacity)});
    rooms_[row] = static_cast<int32_t>(room);
  }
}

RowBins::Packed RowBins::make(int64_t number) const {
  const EpochOrder::Rows order = order_(number);
  auto made = std::make_shared<Epoch>();
  std::vector<int32_t> lengths;
  for (int64_t first = 0; first < num_rows(); first += options_.window) {
    const int64_t count = std::min(options_.window, num_rows() - first);
    const std::span<const int64_t> rows =
        std::span(*order).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    lengths.clear();
    for (const int64_t row : rows) lengths.push_back(rooms_[static_cast<size_t>(row)]);
    const Bins bins = pack(lengths, options_.capacity, PackAlgorithm::kFirstFitDecreasing);
    for (size_t bin = 0; bin < bins.count(); ++bin) {
      for (const uint32_t at : bins[bin]) made->rows.push_back(rows[at]);
      made->ends.push_back(static_cast<int64_t>(made->rows.size()));
    }
  }
  return made;
}

RowBins::Packed RowBins::epoch(int64_t number) const {
  auto& slot = kept_[static_cast<size_t>(number % 2)];
  if (!slot.second || slot.first != number) slot = {number, make(number)};
  return slot.second;
}

void RowBins::count_bins(int64_t index, int64_t upto) const {
  while (begins_.back() <= index && static_cast<int64_t>(begins_.size()) <= upto)
    begins_.push_back(begins_.back() +
                      static_cast<int64_t>(epoch(static_cast<int64_t>(begins_.size()) - 1)->ends.size()));
}

RowBins::Place RowBins::place(int64_t index) const {
  const std::lock_guard lock(mutex_);
  count_bins(index, std::numeric_limits<int64_t>::max());
  const auto after = std::upper_bound(begins_.begin(), begins_.end(), index);
  return {after - begins_.begin() - 1, index - *(after - 1)};
}

std::vector<int64_t> RowBins::rows(const Place& place) const {
  Packed packed;
  {
    const std::lock_guard lock(mutex_);
    packed = epoch(place.epoch);
  }
  const auto bin = static_cast<size_t>(place.bin);
  return {packed->rows.begin() + (bin == 0 ? 0 : packed->ends[bin - 1]), packed->rows.begin() + packed->ends[bin]};
}

int64_t RowBins::bins_of(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  count_bins(std::numeric_limits<int64_t>::max(), epoch + 1);
  return begins_[static_cast<size_t>(epoch) + 1] - begins_[static_cast<size_t>(epoch)];
}

}  // namespace rialto::data
