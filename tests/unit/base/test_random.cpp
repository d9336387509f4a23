// Random streams against a second writing of Philox that is checked with its published vectors.
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <xxhash.h>

#include "rialto/base/random.h"

namespace rialto {
namespace {

std::array<uint32_t, 4> philox_reference(std::array<uint32_t, 4> x, uint32_t k0, uint32_t k1) {
  for (int i = 0; i < 10; ++i) {
    const uint64_t a = 0xD2511F53ull * x[0], b = 0xCD9E8D57ull * x[2];
    const uint32_t y0 = static_cast<uint32_t>(b >> 32) ^ x[1] ^ k0, y2 = static_cast<uint32_t>(a >> 32) ^ x[3] ^ k1;
    x = {y0, static_cast<uint32_t>(b), y2, static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return x;
}

TEST(Random, ReferenceHasThePublishedVectors) {
  EXPECT_EQ(philox_reference({0, 0, 0, 0}, 0, 0),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox_reference({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Random, BitsArePhilox) {
  const std::string name = "init/decoder.layers.0.weight";
  const uint64_t stream = XXH3_64bits(name.data(), name.size()), seed = 0x123456789ABCDEF0;
  const RandomStream random(seed, name);
  for (const uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40}) {
    const auto want = philox_reference({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                                        static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                                       static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
    EXPECT_EQ(random.bits(index), want[0] | static_cast<uint64_t>(want[1]) << 32);
  }
}

TEST(Random, StreamsAndSeedsDiffer) {
  std::set<uint64_t> values;
  for (const uint64_t seed : {0u, 1u}) {
    for (const char* name : {"", "a", "b"}) {
      for (uint64_t i = 0; i < 100; ++i) values.insert(RandomStream(seed, name).bits(i));
    }
  }
  EXPECT_EQ(values.size(), 600u);
}

TEST(Random, MomentsOfTheNormal) {
  const RandomStream random(5, "x");
  std::vector<float> values(100000);
  random.fill_normal(values, 10, 2.0, 3.0);
  double sum = 0, squares = 0;
  for (const float v : values) {
    ASSERT_TRUE(std::isfinite(v));
    sum += static_cast<double>(v);
    squares += (static_cast<double>(v) - 2) * (static_cast<double>(v) - 2);
  }
  EXPECT_NEAR(sum / 1e5, 2.0, 0.05);
  EXPECT_NEAR(std::sqrt(squares / 1e5), 3.0, 0.05);
  EXPECT_EQ(values[7], static_cast<float>(2.0 + 3.0 * random.normal(17)));
}

TEST(Random, UniformIsBelowOne) {
  const RandomStream random(5, "x");
  for (uint64_t i = 0; i < 1000; ++i) {
    const double u = random.uniform(i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
  }
}

}  // namespace
}  // namespace rialto
