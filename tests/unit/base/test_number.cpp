// Casts against independent references: every half value, boundaries, and random floats by search in a table.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"

namespace rialto {
namespace {

/// The value of a number with `exponent_bits` and `mantissa_bits`, by definition.
double value_of(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>((bits >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const double sign = bits >> (exponent_bits + mantissa_bits) & 1 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1u << mantissa_bits), exponent - bias - mantissa_bits);
}

struct Format {
  DType dtype;
  int exponent_bits, mantissa_bits;
  uint32_t infinity() const { return ((1u << exponent_bits) - 1) << mantissa_bits; }
  double value(uint32_t bits) const { return value_of(bits, exponent_bits, mantissa_bits); }
};
const Format kHalf = {DType::kF16, 5, 10};
const Format kBf16 = {DType::kBF16, 8, 7};

/// Nearest of the format's values, ties to the even bit pattern; overflow from half a step past the largest.
uint16_t reference(const Format& f, double x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  x = std::fabs(x);
  uint32_t low = 0, high = f.infinity();  // value(low) <= x < value(high), values grow with their bits
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (f.value(middle) <= x ? low : high) = middle;
  }
  const double below = f.value(low);
  const double above = high == f.infinity() ? below + (below - f.value(low - 1)) : f.value(high);
  const double middle = below + (above - below) / 2;
  const bool up = x > middle || (x == middle && (low & 1));
  return static_cast<uint16_t>(sign | (up ? high : low));
}

uint16_t cast_one(double x, DType from, DType to) {
  uint16_t out = 0;
  if (from == DType::kF64) {
    cast_elements(&x, from, &out, to, 1);
  } else {
    const auto single = static_cast<float>(x);
    cast_elements(&single, from, &out, to, 1);
  }
  return out;
}

TEST(Number, EveryHalfValueReadsAndWritesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto b = static_cast<uint16_t>(bits);
    for (const Format& f : {kHalf, kBf16}) {
      const float value = f.dtype == DType::kF16 ? f16_to_f32(b) : bf16_to_f32(b);
      const double want = f.value(b);
      const uint16_t back = f.dtype == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(value));
        EXPECT_TRUE(std::isnan(f.value(back)));
      } else {
        ASSERT_EQ(static_cast<double>(value), want) << bits;
        ASSERT_EQ(std::signbit(value), std::signbit(want)) << bits;
        ASSERT_EQ(back, b) << bits;
      }
    }
  }
}

TEST(Number, RoundsToNearestEven) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<uint32_t> any;
  for (const Format& f : {kHalf, kBf16}) {
    std::vector<double> values = {0,      -0.0,   65504,   65519.99, 65520,  65536, 1e30, 3.3895313892515355e38,
                                  3.4e38, 5.9e-8, 2.98e-8, 2.99e-8,  6.1e-5, 1e-45};
    for (int i = 0; i < 100000; ++i) {
      // Floats near values of the format and halfway between them.
      const uint32_t bits = any(random) % f.infinity();
      const double here = f.value(bits), next = bits + 1 == f.infinity() ? here : f.value(bits + 1);
      const double halfway = here + (next - here) / 2;
      values.push_back(i % 3 == 0   ? halfway
                       : i % 3 == 1 ? std::nextafter(static_cast<float>(halfway), 0.0f)
                                    : std::nextafter(static_cast<float>(halfway), 1e38f));
    }
    for (double x : values) {
      for (const double signed_x : {x, -x}) {
        const auto as_float = static_cast<double>(static_cast<float>(signed_x));
        if (std::isinf(as_float)) continue;
        ASSERT_EQ(cast_one(as_float, DType::kF32, f.dtype), reference(f, as_float)) << as_float;
        ASSERT_EQ(cast_one(signed_x, DType::kF64, f.dtype), reference(f, signed_x)) << signed_x;
      }
    }
  }
}

TEST(Number, DoublesAreRoundedOnce) {
  const double trap = 1.0 + 0x1p-8 + 0x1p-40;  // as float it lies halfway between two bf16 values
  EXPECT_EQ(cast_one(trap, DType::kF64, DType::kBF16), 0x3F81);
  const double half_trap = 1.0 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(cast_one(half_trap, DType::kF64, DType::kF16), 0x3C01);
}

TEST(Number, CountsWhatChanged) {
  std::vector<float> values(10000, 1.0f);
  values[17] = 1.0f + 0x1p-20f;
  values[9999] = 1e38f * 3.39f;
  values[3] = std::numeric_limits<float>::infinity();
  values[4] = std::nanf("");
  std::vector<uint16_t> out(values.size());
  EXPECT_EQ(cast_elements(values.data(), DType::kF32, out.data(), DType::kBF16, values.size()), 2u);
  EXPECT_EQ(out[3], 0x7F80);
  EXPECT_TRUE(std::isnan(bf16_to_f32(out[4])));
  EXPECT_EQ(cast_elements(values.data(), DType::kF32, out.data(), DType::kF16, values.size()), 2u);
  EXPECT_EQ(out[9999], 0x7C00) << "overflow to infinity is a change";
  std::vector<float> back(values.size());
  EXPECT_EQ(cast_elements(out.data(), DType::kF16, back.data(), DType::kF32, out.size()), 0u);
  const float negative_zero = -0.0f;
  EXPECT_EQ(cast_elements(&negative_zero, DType::kF32, out.data(), DType::kBF16, 1), 0u);
  EXPECT_EQ(out[0], 0x8000);
}

TEST(Number, EqualDtypesKeepBits) {
  const uint32_t nan = 0x7FA12345;  // signalling: arithmetic would change it
  uint32_t out = 0;
  EXPECT_EQ(cast_elements(&nan, DType::kF32, &out, DType::kF32, 1), 0u);
  EXPECT_EQ(out, nan);
  const int64_t whole = -7;
  int64_t whole_out = 0;
  cast_elements(&whole, DType::kI64, &whole_out, DType::kI64, 1);
  EXPECT_EQ(whole_out, whole);
}

TEST(Number, OtherPairsAreRefused) {
  int32_t whole = 1;
  float out = 0;
  EXPECT_THROW(cast_elements(&whole, DType::kI32, &out, DType::kF32, 1), Error);
  EXPECT_THROW(cast_elements(&out, DType::kF32, &whole, DType::kI32, 1), Error);
  EXPECT_THROW(cast_elements(&out, DType::kF64, &whole, DType::kI64, 1), Error);
  EXPECT_NO_THROW(cast_elements(nullptr, DType::kF32, nullptr, DType::kBF16, 0));
}

}  // namespace
}  // namespace rialto
