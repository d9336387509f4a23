// The Functions a layer is made of, each recorded through Tape. Shape letters: T = B*S tokens, H hidden, I inputs,
// O outputs, F ffn width, V vocabulary, N query heads, G key/value heads, D head size.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "rialto/comm/mesh.h"
#include "rialto/kernels/activation.h"
#include "rialto/kernels/dropout.h"
#include "rialto/kernels/gemm.h"
#include "rialto/model/tape.h"
#include "rialto/model/weights.h"
#include "rialto/spec/model_spec.h"

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
  kernels::GemmRecipe recipe = {};
  const Adapter* adapter = nullptr;
};

/// x W^T + b, in x's dtype. The weight's gradient goes to the recorder's sink, added to main_grad; frozen weights get
/// none, and cost no product.
at::Tensor linear(const Recorder& recorder, const at::Tensor& x_TI, const Linear& layer);

/// A norm over the last dim with its parameters: RMSNorm or LayerNorm, weights around 1 or around 0.
struct Norm {
  const Weight* weight = nullptr;
  const Weight* bias = nullptr;
  spec::Norm spec = {};
};

/// Residual addition and norm: {x + delta, norm(x + delta)}; without delta {x, norm(x)}.
struct NormOutput {
  at::Tensor sum, y;
};
NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Norm& norm);
/// The same with plain RMSNorm.
NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Weight& weight,
                    double eps);
/// norm(sum) alone, not recorded: the bits of add_norm's y.
at::Tensor norm_of(const at::Tensor& sum, const Norm& norm);

/// act(gate) * up of [T,2F] -> [T,F], or act(x) of [T,F].
at::Tensor activate(const Recorder& recorder, const at::Tensor& x, const kernels::Activation& activation);

/// Keeps nothing: the gradient's factors are made again from their counters.
at::Tensor dropout(const Recorder& recorder, const at::Tensor& x_TH, const kernels::Dropout& dropout);

/// Rows of the table: tokens [T] -> [T,H], times `scale` rounded to the table's dtype. A rank that holds a part of the
/// vocabulary gives zeros for the other tokens.
at::Tensor embedding(const Recorder& recorder, const at::Tensor& tokens_T, const Weight& table, double scale = 1);

/// How hidden states become logits.
struct Head {
  const Weight* weight = nullptr;      ///< [V,H]
  std::optional<double> softcap = {};  ///< logits become cap * tanh(logit / cap)
};

/// x W^T, capped, in fp32 (fp64 for fp64). Not recorded.
at::Tensor head_logits(const at::Tensor& x_TH, const Head& head);

/// Sum over tokens of weight * cross entropy of the head's logits, fp32 scalar. Works in chunks of tokens: the logits
/// of one chunk live at a time, and both gradients are computed while they do. Over tensor-parallel ranks each holds
/// the logits of its part of the vocabulary, and x's gradient is that part's: collective, and the same sum on each.
at::Tensor linear_cross_entropy(const Recorder& recorder, const at::Tensor& x_TH, const Head& head,
                                const at::Tensor& labels_T, const at::Tensor& loss_weights_T,
                                const comm::Mesh& mesh = {});

}  // namespace rialto::model
