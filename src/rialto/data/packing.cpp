// First fit by a tree of maxima over the room that bins have left; best fit by a sorted set of it.
#include "rialto/data/packing.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>
#include <string>

#include "rialto/base/error.h"
#include "rialto/base/random.h"

namespace rialto::data {
namespace {

/// Room left in bins, in the order in which they were opened.
class RoomTree {
 public:
  /// The first bin with `need` or more; count() when there is none.
  size_t first(int64_t need) const {
    if (tree_[1] < need) return count_;
    size_t node = 1;
    while (node < leaves_) {
      node *= 2;
      if (tree_[node] < need) ++node;
    }
    return node - leaves_;
  }
  void take(size_t bin, int64_t length) { set(bin, tree_[leaves_ + bin] - length); }
  void open(int64_t room) {
    if (count_ == leaves_) grow();
    set(count_++, room);
  }
  size_t count() const { return count_; }

 private:
  void set(size_t bin, int64_t room) {
    size_t node = leaves_ + bin;
    tree_[node] = room;
    for (node /= 2; node > 0; node /= 2) {
      const int64_t most = std::max(tree_[2 * node], tree_[2 * node + 1]);
      if (tree_[node] == most) return;
      tree_[node] = most;
    }
  }
  void grow() {
    std::vector<int64_t> bigger(4 * leaves_, -1);
    std::copy_n(tree_.begin() + static_cast<ptrdiff_t>(leaves_), leaves_,
                bigger.begin() + static_cast<ptrdiff_t>(2 * leaves_));
    leaves_ *= 2;
    for (size_t node = leaves_ - 1; node > 0; --node) bigger[node] = std::max(bigger[2 * node], bigger[2 * node + 1]);
    tree_ = std::move(bigger);
  }

  size_t leaves_ = 1024, count_ = 0;
  std::vector<int64_t> tree_ = std::vector<int64_t>(2048, -1);  ///< node i has children 2i and 2i + 1; -1: no bin yet
};

/// The bin of each row, rows taken in `order`.
std::vector<uint32_t> first_fit(std::span<const int32_t> lengths, std::span<const uint32_t> order, int64_t capacity) {
  RoomTree room;
  std::vector<uint32_t> bin_of(lengths.size());
  for (const uint32_t row : order) {
    const size_t bin = room.first(lengths[row]);
    if (bin == room.count()) room.open(capacity);
    room.take(bin, lengths[row]);
    bin_of[row] = static_cast<uint32_t>(bin);
  }
  return bin_of;
}

std::vector<uint32_t> best_fit(std::span<const int32_t> lengths, std::span<const uint32_t> order, int64_t capacity) {
  std::set<std::pair<int64_t, uint32_t>> room;  // with the bin that has it
  std::vector<uint32_t> bin_of(lengths.size());
  uint32_t count = 0;
  for (const uint32_t row : order) {
    const auto found = room.lower_bound({lengths[row], 0});
    std::pair<int64_t, uint32_t> bin{capacity, count};
    if (found != room.end()) {
      bin = *found;
      room.erase(found);
    } else {
      ++count;
    }
    bin.first -= lengths[row];
    room.insert(bin);
    bin_of[row] = bin.second;
  }
  return bin_of;
}

std::vector<uint32_t> order_of(std::span<const int32_t> lengths, PackAlgorithm algorithm, uint64_t seed) {
  std::vector<uint32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0u);
  if (algorithm == PackAlgorithm::kFirstFitDecreasing) {
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return lengths[a] > lengths[b]; });
  }
  if (algorithm == PackAlgorithm::kFirstFitShuffle) {
    const RandomStream random(seed, "packing");
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.bits(i) % i]);
  }
  return order;
}

}  // namespace

std::span<const uint32_t> Bins::operator[](size_t bin) const {
  const int64_t begin = bin == 0 ? 0 : ends[bin - 1];
  return std::span(rows).subspan(static_cast<size_t>(begin), static_cast<size_t>(ends[bin] - begin));
}

Bins pack(std::span<const int32_t> lengths, int64_t capacity, PackAlgorithm algorithm, uint64_t seed) {
  if (capacity < 1)
    throw Error(ErrorKind::kConfig, "packing", "a bin must hold something", {.got = std::to_string(capacity)});
  if (lengths.size() >= std::numeric_limits<uint32_t>::max())
    throw Error(ErrorKind::kConfig, "packing", "too many rows at once", {.got = std::to_string(lengths.size())});
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] < 0 || lengths[i] > capacity)
      throw Error(ErrorKind::kInput, "packing", "row " + std::to_string(i) + " fits no bin",
                  {.got = std::to_string(lengths[i]), .want = "0 to " + std::to_string(capacity)});
  }
  const std::vector<uint32_t> order = order_of(lengths, algorithm, seed);
  const std::vector<uint32_t> bin_of =
      algorithm == PackAlgorithm::kBestFit ? best_fit(lengths, order, capacity) : first_fit(lengths, order, capacity);
  Bins bins;
  if (bin_of.empty()) return bins;
  bins.ends.assign(*std::max_element(bin_of.begin(), bin_of.end()) + size_t{1}, 0);
  for (const uint32_t bin : bin_of) ++bins.ends[bin];
  std::partial_sum(bins.ends.begin(), bins.ends.end(), bins.ends.begin());
  std::vector<int64_t> next(bins.count(), 0);
  std::copy(bins.ends.begin(), bins.ends.end() - 1, next.begin() + 1);
  bins.rows.resize(bin_of.size());
  for (const uint32_t row : order) bins.rows[static_cast<size_t>(next[bin_of[row]]++)] = row;
  return bins;
}

double efficiency(std::span<const int32_t> lengths, const Bins& bins, int64_t capacity) {
  if (bins.count() == 0) return 0;
  const double tokens = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
  return tokens / (static_cast<double>(bins.count()) * static_cast<double>(capacity));
}

}  // namespace rialto::data
