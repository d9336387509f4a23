// How the operands of a linear layer's three products are brought to the multiplier, for forward, input gradient and
// weight gradient alike.
#pragma once

#include "rialto/kernels/delayed_scale.h"

namespace rialto::kernels {

enum class GemmScaling {
  kNone,     ///< operands in the dtype the weight is stored in, fp32 accumulation
  kDelayed,  ///< FP8, one scale per tensor from the steps before (DelayedScale)
  kCurrent,  ///< FP8, one scale per tensor from itself
  kBlocks,   ///< FP8, a power of two per 128 x 128 of a weight and per 1 x 128 of the others
  kMx,       ///< FP8, an E8M0 scale per 1 x 32
};

struct GemmRecipe {
  GemmScaling scaling = GemmScaling::kNone;
  Fp8Format gradient = Fp8Format::kE4M3;  ///< of output gradients; inputs and weights are E4M3
  bool fp8_wgrad = true;                  ///< false: the weight gradient's product takes operands as they are
  DelayedScale* delayed = nullptr;        ///< kDelayed: outlives the recipe
  bool observes = true;                   ///< kDelayed: whether magnitudes are taken down (not in evaluation)
  bool is_fp8() const { return scaling != GemmScaling::kNone; }
};

/// x [R,K] as the product over K takes it.
Fp8Matrix fp8_operand(const at::Tensor& x_RK, Operand operand, const GemmRecipe& recipe);

/// a [M,K] b [N,K]^T in FP8 -> [M,N] fp32. On a GPU, recipes with one scale per tensor go through at::_scaled_mm where
/// it takes the sizes (multiples of 16); everything else multiplies the decoded operands in fp32, which on a CPU is
/// all.
at::Tensor fp8_product(const at::Tensor& a_MK, Operand a, const at::Tensor& b_NK, Operand b, const GemmRecipe& recipe);

}  // namespace rialto::kernels
