// Matrices as FP8 codes with scales: how a recipe's operands are quantised, and what the codes mean.
// Source: TransformerEngine 2.x, common/recipe and common/cast; the OCP MX specification for 1 x 32 blocks.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

enum class Fp8Format { kE4M3, kE5M2 };
at::ScalarType type_of(Fp8Format format);
float largest(Fp8Format format);

/// How the scale of a block follows from its largest magnitude `amax`: a code is value * scale.
enum class ScaleRule {
  kGiven,       ///< not at all: one scale for the matrix, known before
  kRatio,       ///< largest / amax
  kPowerOfTwo,  ///< the same, mantissa cut off
  kE8m0,        ///< 1 / (amax / largest rounded up to a power of two)
};

struct Fp8Blocks {
  ScaleRule rule = ScaleRule::kRatio;
  int64_t rows = 0, cols = 0;  ///< of a block; 0: the whole matrix is one
};

/// codes [R,C] of the format's dtype; inverse_scales [blocks down, blocks across], fp32: value = code * inverse_scale.
struct Fp8Matrix {
  at::Tensor codes, inverse_scales;
  Fp8Blocks blocks;
};

/// x [R,C], any float type, rounded to the nearest codes, ties to even, saturating. A block of zeros has scale 1
/// (kE8m0: 2^127). A block that holds what is not finite becomes NaN as a whole, so that an overflow is never hidden.
/// `scale`: fp32 scalar tensor, for kGiven.
Fp8Matrix fp8_quantise(const at::Tensor& x, Fp8Format format, const Fp8Blocks& blocks, const at::Tensor& scale = {});
/// [R,C] fp32.
at::Tensor fp8_dequantise(const Fp8Matrix& x);

/// The largest magnitude, fp32 scalar; not finite when some element is not.
at::Tensor fp8_amax(const at::Tensor& x);

namespace ref {
Fp8Matrix fp8_quantise(const at::Tensor& x, Fp8Format format, const Fp8Blocks& blocks, const at::Tensor& scale = {});
}
namespace cpu {
Fp8Matrix fp8_quantise(const at::Tensor& x, Fp8Format format, const Fp8Blocks& blocks, const at::Tensor& scale = {});
}

}  // namespace rialto::kernels
