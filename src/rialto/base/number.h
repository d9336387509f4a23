// Number codecs between stored elements and float: bf16, fp16 (round to nearest, ties to even), fp8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rialto/base/dtype.h"

namespace rialto {

float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);

/// Casts `count` elements from one floating dtype to another; equal dtypes are copied bit for bit.
/// Returns how many finite values changed (rounded, or overflowed to infinity). Throws kInternal on non-floating dtypes
/// that differ. `src` and `dst` must not overlap unless equal dtypes.
uint64_t cast_elements(const void* src, DType from, void* dst, DType to, size_t count);

}  // namespace rialto
