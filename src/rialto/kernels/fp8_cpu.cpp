// FP8 quantisation on the CPU: one pass over a block for its largest magnitude, one for its codes.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "rialto/base/fp8.h"
#include "rialto/kernels/fp8.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

/// Bits of the largest magnitude of n numbers: of numbers without sign, integers compare as floats do, and infinity and
/// NaN are above the rest.
RIALTO_SIMD uint32_t amax_bits(const float* x, int64_t n, uint32_t most) {
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFU);
  return most;
}

RIALTO_SIMD void encode_e4m3(const float* __restrict x, int64_t n, float scale, uint8_t* __restrict codes) {
  for (int64_t i = 0; i < n; ++i) codes[i] = to_e4m3(x[i] * scale);
}
RIALTO_SIMD void encode_e5m2(const float* __restrict x, int64_t n, float scale, uint8_t* __restrict codes) {
  for (int64_t i = 0; i < n; ++i) codes[i] = to_e5m2(x[i] * scale);
}

float scale_of(float amax, Fp8Format format, ScaleRule rule) {
  if (rule == ScaleRule::kE8m0) {
    const uint32_t bits = std::bit_cast<uint32_t>(amax * (1.0F / largest(format)));
    const uint32_t exponent = bits >> 23, mantissa = bits & 0x7FFFFFU;
    const bool up = mantissa > 0 && (exponent > 0 || mantissa > 0x400000U);
    return std::bit_cast<float>((254U - exponent - uint32_t{up}) << 23);
  }
  if (amax == 0) return 1;
  const float scale = std::min(largest(format) / amax, std::numeric_limits<float>::max());
  return rule == ScaleRule::kPowerOfTwo ? std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & 0xFF800000U) : scale;
}

}  // namespace

Fp8Matrix cpu::fp8_quantise(const at::Tensor& x, Fp8Format format, const Fp8Blocks& blocks, const at::Tensor& scale) {
  const at::Tensor values = x.to(at::kFloat).contiguous();
  const int64_t rows = x.size(0), cols = x.size(1);
  const int64_t tall = blocks.rows ? blocks.rows : rows, wide = blocks.cols ? blocks.cols : cols;
  const int64_t down = (rows + tall - 1) / tall, across = (cols + wide - 1) / wide;
  Fp8Matrix out{at::empty({rows, cols}, values.options().dtype(type_of(format))),
                at::empty({down, across}, values.options()), blocks};
  const float* from = values.const_data_ptr<float>();
  auto* codes = static_cast<uint8_t*>(out.codes.data_ptr());
  auto* inverse = out.inverse_scales.data_ptr<float>();
  const float given = blocks.rule == ScaleRule::kGiven ? scale.item<float>() : 0;
  at::parallel_for(0, down * across, 16, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t top = block / across * tall, left = block % across * wide;
      const int64_t bottom = std::min(rows, top + tall), width = std::min(cols, left + wide) - left;
      uint32_t most = 0;
      for (int64_t r = top; r < bottom; ++r) most = amax_bits(from + r * cols + left, width, most);
      float factor =
          blocks.rule == ScaleRule::kGiven ? given : scale_of(std::bit_cast<float>(most), format, blocks.rule);
      if (most >= 0x7F800000U) factor = std::numeric_limits<float>::quiet_NaN();
      for (int64_t r = top; r < bottom; ++r) {
        const int64_t at = r * cols + left;
        format == Fp8Format::kE4M3 ? encode_e4m3(from + at, width, factor, codes + at)
                                   : encode_e5m2(from + at, width, factor, codes + at);
      }
      inverse[block] = 1.0F / factor;
    }
  });
  return out;
}

}  // namespace rialto::kernels
