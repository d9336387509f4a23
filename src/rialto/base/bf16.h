// bf16 <-> fp32 for inner loops: inlined everywhere, so that a loop compiled for an instruction set stays in it. Others
// call the functions of number.h.
#pragma once

#include <bit>
#include <cstdint>

namespace rialto {

__attribute__((always_inline)) inline float widen_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// To the nearest, ties to even; a NaN stays one, quiet, with its sign.
__attribute__((always_inline)) inline uint16_t round_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40u;
  return static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded);
}

}  // namespace rialto
