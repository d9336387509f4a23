// The part of numpy's legacy RandomState that Megatron's datasets use: seeding by a number, and shuffle.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace rialto::data {

/// numpy.random.RandomState(seed). Source: numpy/random/mtrand.pyx and src/distributions/distributions.c. Its MT19937
/// is seeded as std::mt19937 is, and gives the same 32-bit numbers.
class NumpyRandomState {
 public:
  explicit NumpyRandomState(int64_t seed);  ///< throws kConfig outside [0, 2^32)

  /// numpy's random_interval: uniform in [0, max], by masked rejection, 64 bits at a time only where 32 are too few.
  uint64_t interval(uint64_t max);

  /// RandomState.shuffle of a one-dimensional array: Fisher-Yates from the end. Partners are drawn some places ahead of
  /// the swaps, so that memory fetches them meanwhile: in large arrays each is a cache miss.
  template <class T>
  void shuffle(std::span<T> values) {
    std::array<size_t, kAhead> partners;
    for (size_t left = values.size(); left > 1;) {
      const size_t count = std::min(kAhead, left - 1);
      for (size_t k = 0; k < count; ++k) {
        partners[k] = interval(left - 1 - k);
        __builtin_prefetch(&values[partners[k]], 1);
      }
      for (size_t k = 0; k < count; ++k) std::swap(values[left - 1 - k], values[partners[k]]);
      left -= count;
    }
  }

 private:
  static constexpr size_t kAhead = 32;
  std::mt19937 engine_;
};

}  // namespace rialto::data
