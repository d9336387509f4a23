// The inner loops of codecs, branch-free so that they vectorise; on x86 compiled again for AVX2.
#pragma once

#include <cstdint>

namespace rialto::bridge::lanes {

/// e4m3 codes (finite, 0x7F and 0xFF are NaN) times scale.
void decode_fp8(const uint8_t* codes, int64_t count, float scale, float* out);
void decode_fp8(const uint8_t* codes, int64_t count, float scale, uint16_t* out_bf16);

/// Elements [at, at + count) of four-bit codes, low nibble first: e2m1, or integers + 8.
void decode_nibbles(bool e2m1, const uint8_t* bytes, int64_t at, int64_t count, float scale, float* out);
void decode_nibbles(bool e2m1, const uint8_t* bytes, int64_t at, int64_t count, float scale, uint16_t* out_bf16);

/// value / scale, rounded to the nearest e4m3, ties to even; beyond 448 becomes 448, NaN stays NaN.
void encode_fp8(const float* values, int64_t count, float scale, uint8_t* codes);

/// value / scale as four-bit codes, low nibble first, `count` even: the nearest e2m1 (ties to the even code), or the
/// nearest integer from -8 to 7, plus 8. NaN becomes 0.
void encode_nibbles(bool e2m1, const float* values, int64_t count, float scale, uint8_t* bytes);

/// The largest |value|; NaN counts as infinity.
float max_magnitude(const float* values, int64_t count);

}  // namespace rialto::bridge::lanes
