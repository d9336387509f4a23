// Grouped-query attention in which the visible keys of a query are an interval: causal, windowed and packed documents
// are all of that form. Softmax in fp32. Values may be of another size than queries and keys (latent attention).
// Shape letters: B batch, S queries, K keys, N query heads, G key/value heads (head n uses n / (N/G)), D size of a
// query or key, V size of a value.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/dropout.h"

namespace rialto::kernels {

/// Query i of row b sees keys [first[b,i], last[b,i]); both int32 [B,S]. One that sees no key and has no sink gets the
/// output 0 and the logsumexp -infinity, and gives no gradient.
struct KeyRange {
  at::Tensor first_BS, last_BS;
};

/// Where the weights of a call lie among those of whole sequences and all heads, when it has some of them: what is
/// dropped goes by that.
struct WeightPlaces {
  int64_t first_head = 0, queries = 0, keys = 0;  ///< queries and keys of a whole row; 0: those of the call
  at::Tensor query_S = {}, key_K = {};            ///< places in the row: int64 on the host; undefined: 0, 1, ...
};

/// What a product of query and key becomes before the softmax, and what else joins it.
struct Scoring {
  double scale = 1;
  double softcap = 0;       ///< scaled scores become cap * tanh(score / cap); 0: they stay
  at::Tensor sinks_N = {};  ///< one logit per query head that takes its part of the softmax and is then dropped
  /// Of the weights after the softmax. The weight of head n, query i and key j is element (n S + i) K4 + j of its
  /// sample, K4 the number of keys rounded up to a multiple of 4; all of them counted as `places` says.
  Dropout dropout = {};
  WeightPlaces places = {};
};

struct AttentionOutput {
  at::Tensor out_BSNV;  ///< q's dtype
  at::Tensor lse_BNS;   ///< fp32 logsumexp of the scores and the sink
};
struct AttentionGrads {
  at::Tensor dq_BSND, dk_BKGD, dv_BKGV;
  at::Tensor dsinks_N = {};  ///< fp32; undefined without sinks
};

/// q [B,S,N,D], k [B,K,G,D], v [B,K,G,V]. Throws kShape when they do not fit each other.
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  const Scoring& scoring);
/// Deterministic: a fixed order of additions whatever the number of threads.
AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, const Scoring& scoring);

namespace ref {
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  const Scoring& scoring);
AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, const Scoring& scoring);
}  // namespace ref
namespace cpu {
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  const Scoring& scoring);
AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, const Scoring& scoring);
}  // namespace cpu

}  // namespace rialto::kernels
