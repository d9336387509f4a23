// RandomState against numbers that numpy 2 printed.
#include "rialto/data/numpy_random.h"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

struct Known {
  int64_t seed;
  std::vector<int32_t> ten;        // shuffle(arange(10))
  std::vector<int32_t> next_five;  // then shuffle(arange(1000))[:5]
  int64_t checksum;                // and sum(i * value) of it
};

TEST(NumpyRandom, ShufflesAsNumpyDoes) {
  const std::vector<Known> known{
      {0, {2, 8, 4, 9, 1, 6, 7, 3, 0, 5}, {722, 311, 85, 436, 204}, 249331305},
      {1234, {7, 2, 9, 1, 0, 8, 4, 5, 6, 3}, {815, 496, 322, 623, 473}, 253467362},
      {4294967295, {6, 9, 5, 1, 8, 0, 7, 4, 2, 3}, {222, 28, 514, 425, 23}, 250184578},
  };
  for (const Known& expected : known) {
    NumpyRandomState random(expected.seed);
    std::vector<int32_t> ten(10), thousand(1000);
    std::iota(ten.begin(), ten.end(), 0);
    std::iota(thousand.begin(), thousand.end(), 0);
    random.shuffle(std::span(ten));
    random.shuffle(std::span(thousand));
    EXPECT_EQ(ten, expected.ten);
    EXPECT_EQ(std::vector(thousand.begin(), thousand.begin() + 5), expected.next_five);
    int64_t checksum = 0;
    for (size_t i = 0; i < thousand.size(); ++i) checksum += static_cast<int64_t>(i) * thousand[i];
    EXPECT_EQ(checksum, expected.checksum);
  }
}

TEST(NumpyRandom, BlocksOfALargeArrayAreOneShuffle) {
  // numpy: r = RandomState(5); a = arange(400000); r.shuffle(a); b = arange(131073); r.shuffle(b);
  //        (a * (arange(400000) % 1000)).sum(), (b * (arange(131073) % 1000)).sum(), a[:3], b[:3]
  NumpyRandomState random(5);
  const auto shuffled = [&](int64_t count) {
    std::vector<int64_t> values(static_cast<size_t>(count));
    std::iota(values.begin(), values.end(), 0);
    random.shuffle(std::span(values));
    int64_t checksum = 0;
    for (size_t i = 0; i < values.size(); ++i) checksum += values[i] * static_cast<int64_t>(i % 1000);
    values.resize(3);
    values.push_back(checksum);
    return values;
  };
  EXPECT_EQ(shuffled(400000), (std::vector<int64_t>{86101, 331256, 255572, 39926197955131}));
  EXPECT_EQ(shuffled(131073), (std::vector<int64_t>{129855, 31842, 80205, 4286950477700}));
}

TEST(NumpyRandom, IntervalStaysInsideForMaximaNearPowersOfTwo) {
  NumpyRandomState random(3);
  for (const uint64_t max : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{7}, uint64_t{8}, uint64_t{1} << 32,
                             (uint64_t{1} << 33) - 1, ~uint64_t{0}}) {
    bool above_half = false;
    for (int i = 0; i < 200; ++i) {
      const uint64_t value = random.interval(max);
      ASSERT_LE(value, max);
      above_half |= value > max / 2;
    }
    EXPECT_TRUE(above_half || max == 0) << max;
  }
}

TEST(NumpyRandom, RefusesSeedsThatNumpyRefuses) {
  for (const int64_t seed : {int64_t{-1}, int64_t{1} << 32}) {
    EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { NumpyRandomState random(seed); }).find("4294967295"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace rialto::data
