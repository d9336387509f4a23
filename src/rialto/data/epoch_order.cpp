// Shuffles of row numbers.
#include "rialto/data/epoch_order.h"

#include <numeric>

#include "rialto/data/numpy_random.h"

namespace rialto::data {

EpochOrder::Rows EpochOrder::operator()(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  auto& slot = drawn_[static_cast<size_t>(epoch % 2)];
  if (slot.second && slot.first == epoch) return slot.second;
  auto rows = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(rows_));
  std::iota(rows->begin(), rows->end(), 0);
  if (shuffled_) NumpyRandomState((seed_ + epoch) % (int64_t{1} << 32)).shuffle(std::span(*rows));
  slot = {epoch, rows};
  return rows;
}

}  // namespace rialto::data
