// The inner loops of codecs.
#include "rialto/bridge/codecs/lanes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "rialto/base/bf16.h"
#include "rialto/base/fp8.h"

namespace rialto::bridge::lanes {
namespace {

#define RIALTO_INLINE __attribute__((always_inline)) inline

RIALTO_INLINE void put(float* out, float value) { *out = value; }
RIALTO_INLINE void put(uint16_t* out, float value) { *out = round_to_bf16(value); }

template <class T>
RIALTO_INLINE void fp8_loop(const uint8_t* __restrict codes, int64_t count, float scale, T* __restrict out) {
  for (int64_t i = 0; i < count; ++i) put(out + i, from_e4m3(codes[i]) * scale);
}

RIALTO_INLINE void encode_loop(const float* __restrict values, int64_t count, float scale, uint8_t* __restrict codes) {
  for (int64_t i = 0; i < count; ++i) codes[i] = to_e4m3(values[i] / scale);
}

constexpr std::array<float, 16> kE2m1 = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                         -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
constexpr std::array<float, 16> kInt4 = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

template <class T>
void nibble_loop(const std::array<float, 16>& table, const uint8_t* bytes, int64_t at, int64_t count, float scale,
                 T* out) {
  std::array<T, 16> scaled;  // a run has one scale: sixteen products serve all of it
  for (size_t i = 0; i < 16; ++i) put(&scaled[i], table[i] * scale);
  int64_t i = 0;
  if (at % 2 != 0 && count > 0) out[i++] = scaled[bytes[at / 2] >> 4];
  for (; i + 1 < count; i += 2) {
    const uint8_t byte = bytes[(at + i) / 2];
    out[i] = scaled[byte & 15];
    out[i + 1] = scaled[byte >> 4];
  }
  if (i < count) out[i] = scaled[bytes[(at + i) / 2] & 15];
}

/// Half way between neighbours of 0, .5, 1, 1.5, 2, 3, 4, 6; where the upper one is even, the middle is its own.
RIALTO_INLINE uint32_t to_e2m1(float value) {
  const float m = std::fabs(value);
  const uint32_t code = uint32_t{m > 0.25f} + uint32_t{m >= 0.75f} + uint32_t{m > 1.25f} + uint32_t{m >= 1.75f} +
                        uint32_t{m > 2.5f} + uint32_t{m >= 3.5f} + uint32_t{m > 5.0f};
  return code | ((std::bit_cast<uint32_t>(value) >> 28) & 8u);
}

RIALTO_INLINE uint32_t to_int4(float value) {
  const float nearest = std::nearbyint(value);
  return static_cast<uint32_t>((nearest >= -8.0f ? std::min(nearest, 7.0f) : -8.0f) + 8.0f);
}

#if defined(__x86_64__)
#define RIALTO_TARGET __attribute__((target("avx2")))
RIALTO_TARGET void fp8_avx2(const uint8_t* codes, int64_t count, float scale, float* out) {
  fp8_loop(codes, count, scale, out);
}
RIALTO_TARGET void fp8_avx2(const uint8_t* codes, int64_t count, float scale, uint16_t* out) {
  fp8_loop(codes, count, scale, out);
}
RIALTO_TARGET void encode_avx2(const float* values, int64_t count, float scale, uint8_t* codes) {
  encode_loop(values, count, scale, codes);
}
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}
template <class T>
void fp8(const uint8_t* codes, int64_t count, float scale, T* out) {
  has_avx2() ? fp8_avx2(codes, count, scale, out) : fp8_loop(codes, count, scale, out);
}
#else
bool has_avx2() { return false; }
void encode_avx2(const float*, int64_t, float, uint8_t*) {}
template <class T>
void fp8(const uint8_t* codes, int64_t count, float scale, T* out) {
  fp8_loop(codes, count, scale, out);
}
#endif

}  // namespace

void decode_fp8(const uint8_t* codes, int64_t count, float scale, float* out) { fp8(codes, count, scale, out); }
void decode_fp8(const uint8_t* codes, int64_t count, float scale, uint16_t* out) { fp8(codes, count, scale, out); }

void decode_nibbles(bool e2m1, const uint8_t* bytes, int64_t at, int64_t count, float scale, float* out) {
  nibble_loop(e2m1 ? kE2m1 : kInt4, bytes, at, count, scale, out);
}
void decode_nibbles(bool e2m1, const uint8_t* bytes, int64_t at, int64_t count, float scale, uint16_t* out) {
  nibble_loop(e2m1 ? kE2m1 : kInt4, bytes, at, count, scale, out);
}

void encode_fp8(const float* values, int64_t count, float scale, uint8_t* codes) {
  has_avx2() ? encode_avx2(values, count, scale, codes) : encode_loop(values, count, scale, codes);
}

void encode_nibbles(bool e2m1, const float* values, int64_t count, float scale, uint8_t* bytes) {
  const auto code = [&](float value) {
    if (std::isnan(value)) return 0u;
    return e2m1 ? to_e2m1(value / scale) : to_int4(value / scale);
  };
  for (int64_t i = 0; i + 1 < count; i += 2)
    bytes[i / 2] = static_cast<uint8_t>(code(values[i]) | (code(values[i + 1]) << 4));
}

float max_magnitude(const float* values, int64_t count) {
  float max = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isnan(values[i])) return std::numeric_limits<float>::infinity();
    max = std::max(max, std::fabs(values[i]));
  }
  return max;
}

}  // namespace rialto::bridge::lanes
