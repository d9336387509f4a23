// Operands by recipe, and the product of two of them.
#include "rialto/kernels/gemm_recipe.h"

#include <ATen/Functions.h>

namespace rialto::kernels {
namespace {

Fp8Blocks blocks_of(GemmScaling scaling, Operand operand) {
  switch (scaling) {
    case GemmScaling::kBlocks:
      return {ScaleRule::kPowerOfTwo, operand == Operand::kWeight ? 128 : 1, 128};
    case GemmScaling::kMx:
      return {ScaleRule::kE8m0, 1, 32};
    case GemmScaling::kDelayed:
      return {ScaleRule::kGiven, 0, 0};
    default:
      return {ScaleRule::kRatio, 0, 0};
  }
}

bool multiplied_as_codes(const Fp8Matrix& a, const Fp8Matrix& b) {
  const auto fits = [](const Fp8Matrix& x) {
    return x.blocks.rows == 0 && x.blocks.cols == 0 && x.codes.size(0) % 16 == 0 && x.codes.size(1) % 16 == 0;
  };
  return a.codes.is_cuda() && fits(a) && fits(b);
}

}  // namespace

Fp8Matrix fp8_operand(const at::Tensor& x_RK, Operand operand, const GemmRecipe& recipe) {
  const Fp8Format format = operand == Operand::kGradient ? recipe.gradient : Fp8Format::kE4M3;
  const Fp8Blocks blocks = blocks_of(recipe.scaling, operand);
  if (recipe.scaling != GemmScaling::kDelayed) return fp8_quantise(x_RK, format, blocks);
  if (recipe.observes) recipe.delayed->observe(operand, fp8_amax(x_RK));
  return fp8_quantise(x_RK, format, blocks, recipe.delayed->scale(operand));
}

at::Tensor fp8_product(const at::Tensor& a_MK, Operand a, const at::Tensor& b_NK, Operand b, const GemmRecipe& recipe) {
  const Fp8Matrix left = fp8_operand(a_MK, a, recipe), right = fp8_operand(b_NK, b, recipe);
  if (multiplied_as_codes(left, right)) {
    return at::_scaled_mm(left.codes, right.codes.t(), left.inverse_scales, right.inverse_scales, {}, {}, at::kFloat);
  }
  return at::mm(fp8_dequantise(left), fp8_dequantise(right).t());
}

}  // namespace rialto::kernels
