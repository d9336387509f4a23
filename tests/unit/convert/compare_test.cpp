// Element comparison: bits, units in the last place, signs, NaN.
#include "rialto/convert/compare.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace rialto::convert {
namespace {

bool equal(std::vector<float> a, std::vector<float> b, Tolerance tolerance = {}) {
  Comparison comparison(DType::kF32, DType::kF32, tolerance);
  comparison.add(std::as_bytes(std::span(a)), std::as_bytes(std::span(b)));
  return comparison.equal();
}

TEST(Compare, Bits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(equal({1, nan, -0.0f}, {1, nan, -0.0f}));
  EXPECT_FALSE(equal({0.0f}, {-0.0f}));
  EXPECT_FALSE(equal({1}, {std::nextafter(1.0f, 2.0f)}));
}

TEST(Compare, Ulps) {
  const float next = std::nextafter(1.0f, 2.0f), tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_TRUE(equal({1}, {next}, {.max_ulp = 1, .rtol = {}}));
  EXPECT_FALSE(equal({1}, {std::nextafter(next, 2.0f)}, {.max_ulp = 1, .rtol = {}}));
  EXPECT_TRUE(equal({0.0f}, {-0.0f}, {.max_ulp = 0, .rtol = {}}));
  EXPECT_TRUE(equal({tiny}, {-tiny}, {.max_ulp = 2, .rtol = {}}));
  EXPECT_FALSE(equal({1}, {std::numeric_limits<float>::quiet_NaN()}, {.max_ulp = ~uint64_t{0}, .rtol = 1e9}));
}

TEST(Compare, Relative) {
  EXPECT_TRUE(equal({100}, {101}, {.max_ulp = {}, .rtol = 0.01}));
  EXPECT_FALSE(equal({100}, {102}, {.max_ulp = {}, .rtol = 0.01}));
  EXPECT_FALSE(equal({0}, {1e-30f}, {.max_ulp = {}, .rtol = 0.5}));
}

TEST(Compare, CodesByTheirBits) {  // 0x38 is 1 in FP8, but what it means takes its scale
  const std::vector<uint8_t> a = {0x38, 0x38, 0x80}, b = {0x38, 0x39, 0x00};
  Comparison comparison(DType::kF8E4M3, DType::kF8E4M3, {});
  comparison.add(std::as_bytes(std::span(a)), std::as_bytes(std::span(b)));
  EXPECT_NE(comparison.text({3}).find("2 of 3 values differ, first at (1): 56 and 57"), std::string::npos)
      << comparison.text({3});
}

TEST(Compare, SaysWhereAndHowMany) {
  std::vector<float> a(12, 1), b = a;
  b[7] = 2;
  b[9] = 3;
  Comparison comparison(DType::kF32, DType::kF32, {});
  comparison.add(std::as_bytes(std::span(a).first(6)), std::as_bytes(std::span(b).first(6)));
  comparison.add(std::as_bytes(std::span(a).subspan(6)), std::as_bytes(std::span(b).subspan(6)));
  const std::string text = comparison.text({3, 4});
  EXPECT_NE(text.find("2 of 12"), std::string::npos) << text;
  EXPECT_NE(text.find("(1, 3)"), std::string::npos) << text;
}

}  // namespace
}  // namespace rialto::convert
