// numpy.random.RandomState's integers.
#include "rialto/data/numpy_random.h"

#include <bit>
#include <limits>
#include <string>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

uint32_t checked_seed(int64_t seed) {
  if (seed < 0 || seed > std::numeric_limits<uint32_t>::max()) {
    throw Error(ErrorKind::kConfig, "seed", "is outside what numpy's RandomState takes",
                {.got = std::to_string(seed), .want = "0 to 4294967295"});
  }
  return static_cast<uint32_t>(seed);
}

}  // namespace

NumpyRandomState::NumpyRandomState(int64_t seed) : engine_(checked_seed(seed)) {}

uint64_t NumpyRandomState::interval(uint64_t max) {
  if (max == 0) return 0;
  const uint64_t mask = ~uint64_t{0} >> std::countl_zero(max);  // ones from max's highest bit down
  uint64_t value = 0;
  do {
    value = engine_();
    if (max > std::numeric_limits<uint32_t>::max()) value = value << 32 | engine_();
    value &= mask;
  } while (value > max);
  return value;
}

// interval(left - 1), interval(left - 2)... A third of the numbers is rejected, which no processor foresees: so each is
// written down, and the place moves on only if it counts.
std::vector<uint64_t> NumpyRandomState::draw(size_t left, size_t most) {
  const size_t count = std::min(most, left > 0 ? left - 1 : 0);
  std::vector<uint64_t> partners(count);
  uint64_t max = left - 1;
  for (size_t drawn = 0; drawn < count;) {
    if (max > std::numeric_limits<uint32_t>::max()) {
      partners[drawn++] = interval(max--);
      continue;
    }
    const uint64_t mask = ~uint64_t{0} >> std::countl_zero(max), half = mask >> 1;  // for a smaller max another mask
    while (drawn < count && max > half) {
      const uint64_t value = engine_() & mask;
      partners[drawn] = value;
      const bool counts = value <= max;
      drawn += counts;
      max -= counts;
    }
  }
  return partners;
}

}  // namespace rialto::data
