// Bits first; values only where bits differ.
#include "rialto/convert/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "rialto/base/number.h"

namespace rialto::convert {
namespace {

constexpr size_t kBlock = 4096;  ///< elements looked at one by one when a block differs

/// Position of a value on the number line of its type, so that neighbours differ by one; -0 and 0 are the same place.
int64_t ordinal(uint64_t bits, size_t width) {
  const uint64_t sign = uint64_t{1} << (8 * width - 1);
  const auto magnitude = static_cast<int64_t>(bits & (sign - 1));
  return bits & sign ? -magnitude : magnitude;
}

uint64_t bits_at(const std::byte* data, size_t index, size_t width) {
  uint64_t bits = 0;
  std::memcpy(&bits, data + index * width, width);
  return bits;
}

/// FP8 codes are compared by their bits, as integers are: what they mean takes their scales.
bool has_values(DType dtype) { return is_floating(dtype) && size_of(dtype) > 1; }

std::vector<float> to_floats(std::span<const std::byte> bytes, DType dtype) {
  std::vector<float> values(bytes.size() / size_of(dtype));
  cast_elements(bytes.data(), dtype, values.data(), DType::kF32, values.size());
  return values;
}

}  // namespace

void Comparison::add(std::span<const std::byte> a, std::span<const std::byte> b) {
  if (a_ == b_ && std::memcmp(a.data(), b.data(), a.size()) == 0) {
    count_ += a.size() / size_of(a_);
    return;
  }
  const size_t total = a.size() / size_of(a_);
  for (size_t at = 0; at < total; at += kBlock) {
    const size_t count = std::min(kBlock, total - at);
    const auto part_a = a.subspan(at * size_of(a_), count * size_of(a_)),
               part_b = b.subspan(at * size_of(b_), count * size_of(b_));
    if (a_ != b_ || std::memcmp(part_a.data(), part_b.data(), part_a.size()) != 0) add_values(part_a, part_b);
    count_ += count;
  }
}

void Comparison::add_values(std::span<const std::byte> a, std::span<const std::byte> b) {
  const size_t count = a.size() / size_of(a_);
  const bool floating = has_values(a_) && has_values(b_);
  std::vector<float> values_a, values_b;
  if (floating) {
    values_a = to_floats(a, a_);
    values_b = to_floats(b, b_);
  }
  const DType coarse = a_ == b_ ? a_ : size_of(a_) == size_of(b_) ? DType::kF32 : size_of(a_) < size_of(b_) ? a_ : b_;
  std::vector<std::byte> coarse_a(a.begin(), a.end()), coarse_b(b.begin(), b.end());
  if (floating && a_ != b_) {
    coarse_a.resize(count * size_of(coarse));
    coarse_b.resize(count * size_of(coarse));
    cast_elements(a.data(), a_, coarse_a.data(), coarse, count);
    cast_elements(b.data(), b_, coarse_b.data(), coarse, count);
  }
  for (size_t i = 0; i < count; ++i) {
    if (a_ == b_ && bits_at(a.data(), i, size_of(a_)) == bits_at(b.data(), i, size_of(b_))) continue;
    bool same = false;
    uint64_t ulp = 0;
    if (floating) {
      const size_t width = size_of(coarse);
      ulp = static_cast<uint64_t>(std::llabs(ordinal(bits_at(coarse_a.data(), i, width), width) -
                                             ordinal(bits_at(coarse_b.data(), i, width), width)));
      const float x = values_a[i], y = values_b[i];
      if (!tolerance_.exact()) {
        same = (std::isnan(x) && std::isnan(y)) || x == y;
        if (!same && !std::isnan(x) && !std::isnan(y)) {
          same = (tolerance_.max_ulp && ulp <= *tolerance_.max_ulp) ||
                 (tolerance_.rtol && std::abs(double{x} - double{y}) <=
                                         *tolerance_.rtol * std::max(std::abs(double{x}), std::abs(double{y})));
        }
      }
    }
    if (same) continue;
    if (different_ == 0) {
      first_ = count_ + i;
      first_a_ = floating ? double{values_a[i]} : static_cast<double>(bits_at(a.data(), i, size_of(a_)));
      first_b_ = floating ? double{values_b[i]} : static_cast<double>(bits_at(b.data(), i, size_of(b_)));
    }
    ++different_;
    largest_ulp_ = std::max(largest_ulp_, ulp);
  }
}

std::string Comparison::text(const Shape& shape) const {
  Shape place(shape.size());
  uint64_t rest = first_;
  for (size_t axis = shape.size(); axis-- > 0;) {
    place[axis] = static_cast<int64_t>(rest % static_cast<uint64_t>(shape[axis]));
    rest /= static_cast<uint64_t>(shape[axis]);
  }
  return fmt::format("{} of {} values differ, first at {}: {:.9g} and {:.9g}; at most {} ulp", different_, count_,
                     to_text(place), first_a_, first_b_, largest_ulp_);
}

}  // namespace rialto::convert
