// The part of numpy's legacy RandomState that Megatron's datasets use: seeding by a number, and shuffle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace rialto::data {

/// numpy.random.RandomState(seed). Source: numpy/random/mtrand.pyx and src/distributions/distributions.c. Its MT19937
/// is seeded as std::mt19937 is, and gives the same 32-bit numbers.
class NumpyRandomState {
 public:
  explicit NumpyRandomState(int64_t seed);  ///< throws kConfig outside [0, 2^32)

  /// numpy's random_interval: uniform in [0, max], by masked rejection, 64 bits at a time only where 32 are too few.
  uint64_t interval(uint64_t max);

  /// RandomState.shuffle of a one-dimensional array: Fisher-Yates from the end. The numbers drawn do not depend on the
  /// values, so of a large array another thread draws those of the next block while this one swaps. Swaps are cache
  /// misses there: their places are fetched some ahead.
  template <class T>
  void shuffle(std::span<T> values) {
    std::vector<uint64_t> partners = draw(values.size(), kBlock);
    for (size_t left = values.size(); left > 1;) {
      const size_t count = partners.size(), rest = left - count;
      std::future<std::vector<uint64_t>> next;
      if (rest > 1) next = std::async(std::launch::async, [this, rest] { return draw(rest, kBlock); });
      for (size_t k = 0; k < count; ++k) {
        __builtin_prefetch(&values[partners[std::min(k + kAhead, count - 1)]], 1);
        std::swap(values[left - 1 - k], values[partners[k]]);
      }
      if (rest > 1) partners = next.get();
      left = rest;
    }
  }

 private:
  /// The partners of the last of `left` values and of those before it, at most `most`.
  std::vector<uint64_t> draw(size_t left, size_t most);

  static constexpr size_t kAhead = 24, kBlock = 1u << 18;
  std::mt19937 engine_;
};

}  // namespace rialto::data
