// Casts between floating dtypes. Inner loops are branch-free so that the compiler vectorises them; on x86 each is
// compiled again for AVX2 and the machine's better one is taken.
#include "rialto/base/number.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "rialto/base/bf16.h"
#include "rialto/base/error.h"

namespace rialto {

namespace {

#define RIALTO_INLINE __attribute__((always_inline)) inline

RIALTO_INLINE float from_f16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFFu) << 13;
  constexpr uint32_t kRebias = 112u << 23;  // exponent bias 127 - 15
  const uint32_t normal = magnitude + kRebias;
  const uint32_t special = normal + kRebias;  // infinity and NaN: exponent becomes all ones
  // Subnormal: put the mantissa under a known exponent, subtract that power of two exactly.
  constexpr uint32_t kMagic = 113u << 23;
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude + kMagic) - std::bit_cast<float>(kMagic));
  uint32_t result = magnitude >= (0x7C00u << 13) ? special : normal;
  result = magnitude < (0x0400u << 13) ? subnormal : result;
  return std::bit_cast<float>(result | sign);
}

RIALTO_INLINE uint16_t to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  const uint32_t normal = (magnitude - (112u << 23) + 0xFFFu + ((magnitude >> 13) & 1)) >> 13;
  // Below 2^-14: adding 0.5 lines the mantissa up with half's subnormal step and rounds to even.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  const uint32_t nan = 0x7E00u | ((magnitude >> 13) & 0x1FFu);
  uint32_t result = magnitude < 0x38800000u ? subnormal : normal;
  result = magnitude >= 0x47800000u ? 0x7C00u : result;  // from 2^16 on; 65520 rounds up to infinity by carry
  result = magnitude > 0x7F800000u ? nan : result;
  return static_cast<uint16_t>(result | sign);
}

/// The nearest float, except that an inexact one gets an odd last bit, so that rounding it again rounds once.
RIALTO_INLINE float odd_float(double value) {
  const float nearest_float = static_cast<float>(value);
  uint32_t bits = std::bit_cast<uint32_t>(nearest_float);
  if (std::isfinite(value) && static_cast<double>(nearest_float) != value) {
    if (std::fabs(static_cast<double>(nearest_float)) > std::fabs(value)) --bits;
    bits |= 1;
  }
  return std::bit_cast<float>(bits);
}

struct F32 {
  using Stored = float;
  static RIALTO_INLINE float decode(float value) { return value; }
  static RIALTO_INLINE float encode(float value) { return value; }
};
struct BF16 {
  using Stored = uint16_t;
  static RIALTO_INLINE float decode(uint16_t bits) { return widen_bf16(bits); }
  static RIALTO_INLINE uint16_t encode(float value) { return round_to_bf16(value); }
};
struct F16 {
  using Stored = uint16_t;
  static RIALTO_INLINE float decode(uint16_t bits) { return from_f16(bits); }
  static RIALTO_INLINE uint16_t encode(float value) { return to_f16(value); }
};

RIALTO_INLINE uint32_t is_finite_bits(float value) {
  return (std::bit_cast<uint32_t>(value) & 0x7F800000u) != 0x7F800000u;
}

template <class From, class To>
RIALTO_INLINE uint64_t cast_loop(const void* src, void* dst, size_t count) {
  const auto* in = static_cast<const typename From::Stored*>(src);
  auto* out = static_cast<typename To::Stored*>(dst);
  uint64_t changed = 0;
  constexpr size_t kBlock = 4096;  // a 32-bit counter per block keeps the lanes narrow
  for (size_t first = 0; first < count; first += kBlock) {
    const size_t n = count - first < kBlock ? count - first : kBlock;
    const auto* __restrict block_in = in + first;
    auto* __restrict block_out = out + first;
    uint32_t block_changed = 0;
    for (size_t i = 0; i < n; ++i) {
      const float value = From::decode(block_in[i]);
      const typename To::Stored stored = To::encode(value);
      block_out[i] = stored;
      const uint32_t differs = std::bit_cast<uint32_t>(To::decode(stored)) != std::bit_cast<uint32_t>(value);
      block_changed += differs & is_finite_bits(value);
    }
    changed += block_changed;
  }
  return changed;
}

using Loop = uint64_t (*)(const void*, void*, size_t);

template <class From, class To>
uint64_t plain_loop(const void* src, void* dst, size_t count) {
  return cast_loop<From, To>(src, dst, count);
}

#if defined(__x86_64__)
template <class From, class To>
__attribute__((target("avx2"))) uint64_t avx2_loop(const void* src, void* dst, size_t count) {
  return cast_loop<From, To>(src, dst, count);
}
#endif

template <class From, class To>
uint64_t run(const void* src, void* dst, size_t count) {
#if defined(__x86_64__)
  static const Loop loop = __builtin_cpu_supports("avx2") ? avx2_loop<From, To> : plain_loop<From, To>;
#else
  static const Loop loop = plain_loop<From, To>;
#endif
  return loop(src, dst, count);
}

double decode_double(float value) { return static_cast<double>(value); }

template <class To>
uint64_t from_double(const void* src, void* dst, size_t count) {
  const auto* in = static_cast<const double*>(src);
  auto* out = static_cast<typename To::Stored*>(dst);
  uint64_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const float single = std::is_same_v<To, F32> ? static_cast<float>(in[i]) : odd_float(in[i]);
    out[i] = To::encode(single);
    changed += std::isfinite(in[i]) && decode_double(To::decode(out[i])) != in[i];
  }
  return changed;
}

template <class From>
uint64_t to_double(const void* src, void* dst, size_t count) {
  const auto* in = static_cast<const typename From::Stored*>(src);
  auto* out = static_cast<double*>(dst);
  for (size_t i = 0; i < count; ++i) out[i] = decode_double(From::decode(in[i]));
  return 0;
}

template <class From>
uint64_t cast_from(const void* src, void* dst, DType to, size_t count, bool& known) {
  switch (to) {
    case DType::kF64:
      return to_double<From>(src, dst, count);
    case DType::kF32:
      return run<From, F32>(src, dst, count);
    case DType::kF16:
      return run<From, F16>(src, dst, count);
    case DType::kBF16:
      return run<From, BF16>(src, dst, count);
    default:
      known = false;
      return 0;
  }
}

}  // namespace

float bf16_to_f32(uint16_t bits) { return widen_bf16(bits); }
uint16_t f32_to_bf16(float value) { return round_to_bf16(value); }
float f16_to_f32(uint16_t bits) { return from_f16(bits); }
uint16_t f32_to_f16(float value) { return to_f16(value); }

uint64_t cast_elements(const void* src, DType from, void* dst, DType to, size_t count) {
  if (count == 0) return 0;
  if (from == to) {
    std::memmove(dst, src, count * size_of(from));
    return 0;
  }
  bool known = true;
  uint64_t changed = 0;
  switch (from) {
    case DType::kF32:
      changed = cast_from<F32>(src, dst, to, count, known);
      break;
    case DType::kF16:
      changed = cast_from<F16>(src, dst, to, count, known);
      break;
    case DType::kBF16:
      changed = cast_from<BF16>(src, dst, to, count, known);
      break;
    case DType::kF64:
      if (to == DType::kF32)
        changed = from_double<F32>(src, dst, count);
      else if (to == DType::kF16)
        changed = from_double<F16>(src, dst, count);
      else if (to == DType::kBF16)
        changed = from_double<BF16>(src, dst, count);
      else
        known = false;
      break;
    default:
      known = false;
  }
  if (!known) {
    throw Error(ErrorKind::kInternal, "cast_elements", "no cast between these dtypes",
                {.got = std::string(torch_name(from)) + " to " + std::string(torch_name(to)),
                 .want = "float64, float32, float16 or bfloat16 on both sides"});
  }
  return changed;
}

}  // namespace rialto
