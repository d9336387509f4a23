// Cross entropy of a block of rows, turning the logits into their gradient in place.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// logits [C,V] fp32 (fp64), labels int64 [C], weights [C] -> weights * (logsumexp - logits[label]), [C], same dtype.
/// With `want_grad` the logits become weights * (softmax - one_hot). A row of weight 0 costs nothing and gives zeros,
/// whatever its label. Throws kInput when a label of non-zero weight is outside [0, V) (on a GPU: undefined there).
at::Tensor cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights, bool want_grad);

namespace ref {
at::Tensor cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights, bool want_grad);
}
namespace cpu {
at::Tensor cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights, bool want_grad);
}

}  // namespace rialto::kernels
