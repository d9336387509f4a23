// FP8 quantisation in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "rialto/base/error.h"
#include "rialto/base/fp8.h"
#include "rialto/kernels/fp8.h"

namespace rialto::kernels {
namespace {

constexpr int64_t kExponentBits = -8388608;  // sign and exponent of fp32, 0xFF800000 as a signed number
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int64_t block_rows(const at::Tensor& x, const Fp8Blocks& blocks) { return blocks.rows ? blocks.rows : x.size(0); }
int64_t block_cols(const at::Tensor& x, const Fp8Blocks& blocks) { return blocks.cols ? blocks.cols : x.size(1); }

/// [R,C] -> [blocks down, block rows, blocks across, block columns], zeros behind the last row and column.
at::Tensor in_blocks(const at::Tensor& x, const Fp8Blocks& blocks) {
  const int64_t rows = block_rows(x, blocks), cols = block_cols(x, blocks);
  const int64_t down = (x.size(0) + rows - 1) / rows, across = (x.size(1) + cols - 1) / cols;
  at::Tensor padded = x;
  if (down * rows != x.size(0) || across * cols != x.size(1))
    padded = at::constant_pad_nd(x, {0, across * cols - x.size(1), 0, down * rows - x.size(0)});
  return padded.reshape({down, rows, across, cols});
}

/// fp32 scales of blocks whose largest magnitudes these are.
at::Tensor scales_of(const at::Tensor& amax, Fp8Format format, ScaleRule rule) {
  at::Tensor scale;
  if (rule == ScaleRule::kE8m0) {
    const at::Tensor bits = (amax * (1.0F / largest(format))).view(at::kInt);
    const at::Tensor exponent = bits.bitwise_right_shift(23), mantissa = bits.bitwise_and(0x7FFFFF);
    const at::Tensor up = (mantissa > 0).logical_and((exponent > 0).logical_or(mantissa > 0x400000));
    scale = (254 - exponent - up.to(at::kInt)).bitwise_left_shift(23).to(at::kInt).view(at::kFloat);
  } else {
    scale = at::where(amax > 0, largest(format) / amax, at::ones_like(amax));
    scale = at::where(at::isinf(scale), at::full_like(scale, std::numeric_limits<float>::max()), scale);
    if (rule == ScaleRule::kPowerOfTwo)
      scale = scale.contiguous().view(at::kInt).bitwise_and(kExponentBits).view(at::kFloat);
  }
  return at::where(at::isfinite(amax), scale, at::full_like(scale, kNan));
}

}  // namespace

at::ScalarType type_of(Fp8Format format) { return format == Fp8Format::kE4M3 ? at::kFloat8_e4m3fn : at::kFloat8_e5m2; }

float largest(Fp8Format format) { return format == Fp8Format::kE4M3 ? kMaxE4m3 : kMaxE5m2; }

Fp8Matrix ref::fp8_quantise(const at::Tensor& x, Fp8Format format, const Fp8Blocks& blocks, const at::Tensor& scale) {
  const at::Tensor tiles = in_blocks(x.to(at::kFloat), blocks);
  const at::Tensor amax = tiles.abs().amax({1, 3});
  const at::Tensor scales = blocks.rule == ScaleRule::kGiven
                                ? at::where(at::isfinite(amax), scale.to(at::kFloat), at::full_like(amax, kNan))
                                : scales_of(amax, format, blocks.rule);
  const at::Tensor scaled =
      (tiles * scales.unsqueeze(1).unsqueeze(3)).clamp(-largest(format), largest(format)).to(type_of(format));
  const at::Tensor whole = scaled.view({tiles.size(0) * tiles.size(1), tiles.size(2) * tiles.size(3)});
  return {whole.narrow(0, 0, x.size(0)).narrow(1, 0, x.size(1)).contiguous(), scales.reciprocal(), blocks};
}

Fp8Matrix fp8_quantise(const at::Tensor& x, Fp8Format format, const Fp8Blocks& blocks, const at::Tensor& scale) {
  if (x.dim() != 2 || x.numel() == 0)
    throw Error(ErrorKind::kInternal, "fp8", "only a matrix of something is quantised");
  return x.is_cpu() ? cpu::fp8_quantise(x, format, blocks, scale) : ref::fp8_quantise(x, format, blocks, scale);
}

at::Tensor fp8_dequantise(const Fp8Matrix& x) {
  const auto spread = [&](const at::Tensor& scales, int64_t size, int64_t dim) {
    return size == 0 || size == 1 ? scales : scales.repeat_interleave(size, dim).narrow(dim, 0, x.codes.size(dim));
  };
  return x.codes.to(at::kFloat) * spread(spread(x.inverse_scales, x.blocks.rows, 0), x.blocks.cols, 1);
}

at::Tensor fp8_amax(const at::Tensor& x) { return x.abs().amax().to(at::kFloat); }

}  // namespace rialto::kernels
