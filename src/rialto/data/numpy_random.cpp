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

std::vector<uint64_t> NumpyRandomState::draw(size_t left, size_t most) {
  std::vector<uint64_t> partners(std::min(most, left > 0 ? left - 1 : 0));
  for (uint64_t& partner : partners) partner = interval(--left);
  return partners;
}

}  // namespace rialto::data
