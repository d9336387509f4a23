// FP8 <-> fp32 for inner loops, inlined everywhere, so that a loop compiled for an instruction set stays in it. E4M3 is
// the finite kind (largest 448, no infinity), E5M2 has fp16's exponents. Branch-free, and no fp32 subnormal on the way:
// Intel takes 150 cycles for each.
#pragma once

#include <bit>
#include <cstdint>

namespace rialto {

inline constexpr float kMaxE4m3 = 448.0f, kMaxE5m2 = 57344.0f;

/// Exponent and mantissa move to fp32's places, 120 being the difference of the biases; codes below 8 are subnormal,
/// multiples of 2^-9. 0x7F and 0xFF are NaN.
__attribute__((always_inline)) inline float from_e4m3(uint8_t code) {
  const uint32_t magnitude = code & 0x7Fu;
  const uint32_t normal = (magnitude << 20) + (120u << 23);
  const float subnormal = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-9f;
  uint32_t bits = magnitude < 8u ? std::bit_cast<uint32_t>(subnormal) : normal;
  bits = magnitude == 0x7Fu ? 0x7FC00000u : bits;
  return std::bit_cast<float>(bits | (static_cast<uint32_t>(code & 0x80u) << 24));
}

/// To the nearest, ties to even; beyond 448 becomes 448, NaN stays NaN.
__attribute__((always_inline)) inline uint8_t to_e4m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7FFFFFFFu;
  // Normal from 2^-6: round off 20 bits of the mantissa, ties to even, and take 120 from the exponent.
  const uint32_t normal = ((magnitude + 0x7FFFFu + ((magnitude >> 20) & 1)) >> 20) - (120u << 3);
  // Below: adding 2^14 puts the step of the sum at 2^-9, that of subnormal codes.
  const float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
  const uint32_t subnormal = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0x1p14f);
  uint32_t code = magnitude < std::bit_cast<uint32_t>(0x1p-6f) ? subnormal : normal;
  code = magnitude > std::bit_cast<uint32_t>(kMaxE4m3) ? 0x7Eu : code;
  code = magnitude > 0x7F800000u ? 0x7Fu : code;
  return static_cast<uint8_t>(code | sign);
}

/// The same for E5M2: normal from 2^-14, subnormal codes are multiples of 2^-16; beyond 57344 becomes 57344.
__attribute__((always_inline)) inline uint8_t to_e5m2(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7FFFFFFFu;
  const uint32_t normal = ((magnitude + 0xFFFFFu + ((magnitude >> 21) & 1)) >> 21) - (112u << 2);
  const float shifted = std::bit_cast<float>(magnitude) + 0x1p7f;
  const uint32_t subnormal = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0x1p7f);
  uint32_t code = magnitude < std::bit_cast<uint32_t>(0x1p-14f) ? subnormal : normal;
  code = magnitude > std::bit_cast<uint32_t>(kMaxE5m2) ? 0x7Bu : code;
  code = magnitude > 0x7F800000u ? 0x7Fu : code;
  return static_cast<uint8_t>(code | sign);
}

}  // namespace rialto
