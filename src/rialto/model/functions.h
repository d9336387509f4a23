// The Functions a layer is made of, each recorded through Tape. Shape letters: T = B*S tokens, H hidden, I inputs,
// O outputs, F ffn width, V vocabulary, N query heads, G key/value heads, D head size.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/gemm.h"
#include "rialto/model/tape.h"
#include "rialto/model/weights.h"

namespace rialto::model {

/// Something that adds to a linear layer's output from the same input (LoRA). It records itself.
class Adapter {
 public:
  virtual ~Adapter() = default;
  virtual at::Tensor delta(const Recorder& recorder, const at::Tensor& x_TI) const = 0;  ///< -> [T,O]
};

struct Linear {
  const Weight* weight = nullptr;  ///< [O,I]
  const Weight* bias = nullptr;    ///< [O] or null
  kernels::GemmRecipe recipe = kernels::GemmRecipe::kAsStored;
  const Adapter* adapter = nullptr;
};

/// x W^T + b, in x's dtype. The weight's gradient goes to the recorder's sink, added to main_grad; frozen weights get
/// none, and cost no product.
at::Tensor linear(const Recorder& recorder, const at::Tensor& x_TI, const Linear& layer);

/// Residual addition and RMSNorm: {x + delta, norm(x + delta)}; without delta {x, norm(x)}.
struct NormOutput {
  at::Tensor sum, y;
};
NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Weight& weight,
                    double eps);

/// silu(gate) * up of [T,2F] -> [T,F].
at::Tensor swiglu(const Recorder& recorder, const at::Tensor& x);

/// Rows of the table: tokens [T] -> [T,H].
at::Tensor embedding(const Recorder& recorder, const at::Tensor& tokens_T, const Weight& table);

/// Sum over tokens of weight * cross entropy of x W^T, fp32 scalar. Works in chunks of tokens: the logits of one chunk
/// live at a time, and both gradients are computed while they do.
at::Tensor linear_cross_entropy(const Recorder& recorder, const at::Tensor& x_TH, const Weight& weight,
                                const at::Tensor& labels_T, const at::Tensor& loss_weights_T,
                                kernels::GemmRecipe recipe = kernels::GemmRecipe::kAsStored);

}  // namespace rialto::model
