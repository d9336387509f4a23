// Multi-token prediction: after the last layer, one block per further token. Depth m sees the hidden states of depth
// m-1 (depth 0: the model's, normed) and the embedding of the m-th next token, and predicts the one after that through
// the model's head. Source: DeepSeek-V3 report 2.2; Megatron-Core multi_token_prediction.py.
#pragma once

#include "rialto/model/batch.h"
#include "rialto/model/layer.h"

namespace rialto::model {

/// The batch as depth `m` >= 1 sees it: tokens, labels and loss weights of m places on. Where that place is beyond the
/// row or in another document, the weight and the token are 0.
Batch shifted(const Batch& batch, int64_t m);

class MtpBlock {
 public:
  /// `parts.prefix`: "mtp.layers.0.".
  MtpBlock(const spec::MtpBlock& spec, const Parts& parts);
  /// embedded, hidden [T,H] -> [T,H], normed for the head and for the next depth.
  at::Tensor forward(const Recorder& recorder, const at::Tensor& embedded_TH, const at::Tensor& hidden_TH,
                     const std::shared_ptr<Pass>& pass, Routing* routing) const;

 private:
  const comm::Mesh& mesh_;
  Norm embedding_norm_, hidden_norm_, final_norm_;
  Linear projection_;
  DecoderLayer layer_;
};

}  // namespace rialto::model
