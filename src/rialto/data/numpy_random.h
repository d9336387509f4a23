// The part of numpy's legacy RandomState that Megatron's datasets use: seeding by a number, and shuffle.
#pragma once

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

  /// RandomState.shuffle of a one-dimensional array: Fisher-Yates from the end.
  template <class T>
  void shuffle(std::span<T> values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[interval(i)]);
  }

 private:
  std::mt19937 engine_;
};

}  // namespace rialto::data
