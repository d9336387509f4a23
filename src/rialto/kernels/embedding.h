// Rows of a table by token, and the sum of gradients back into it in token order (so the same bits every run).
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// tokens int64 [T], table [V,H] -> [T,H]. Throws kInput on a token outside [0, V) (CPU).
at::Tensor embedding_forward(const at::Tensor& tokens, const at::Tensor& table);
/// sum [V,H] += the rows of dy [T,H], each row's terms in token order.
void embedding_grad(at::Tensor sum, const at::Tensor& tokens, const at::Tensor& dy);

}  // namespace rialto::kernels
