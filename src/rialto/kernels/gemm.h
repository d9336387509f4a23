// The three matrix products of a linear layer. On a CPU, fp16 operands, and bf16 operands where it has no bf16
// instructions, are multiplied in fp32 and the result is rounded: the vendor library's narrow paths are an order of
// magnitude slower there.
// Shape letters: T tokens, I inputs, O outputs.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/gemm_recipe.h"

namespace rialto::kernels {

/// Whether this CPU multiplies bf16 natively (avx512_bf16 or amx_bf16).
bool cpu_has_bf16_gemm();

/// The operand as this device multiplies it: itself, or a bf16 or fp16 tensor widened. For callers that use it several
/// times.
at::Tensor gemm_operand(const at::Tensor& x);

/// x [T,I] w [O,I]^T + bias [O] (or undefined) -> [T,O] in `out` dtype.
at::Tensor gemm_forward(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::ScalarType out,
                        const GemmRecipe& recipe = {});
/// The same into `y`, of any dtype.
void gemm_forward_out(at::Tensor y, const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                      const GemmRecipe& recipe = {});
/// dy [T,O] w [O,I] -> [T,I] in `out` dtype.
at::Tensor gemm_grad_input(const at::Tensor& dy, const at::Tensor& w, at::ScalarType out,
                           const GemmRecipe& recipe = {});
/// The same into `dx`, of the operands' dtype or wider.
void gemm_grad_input_out(at::Tensor dx, const at::Tensor& dy, const at::Tensor& w, const GemmRecipe& recipe = {});
/// sum [O,I] += dy [T,O]^T x [T,I]; sum is fp32 (fp64 for fp64 operands).
void gemm_grad_weight(at::Tensor sum, const at::Tensor& dy, const at::Tensor& x, const GemmRecipe& recipe = {});
/// sum [O] += the column sums of dy [T,O].
void bias_grad(at::Tensor sum, const at::Tensor& dy);

}  // namespace rialto::kernels
