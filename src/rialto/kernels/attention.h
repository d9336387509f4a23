// Grouped-query attention in which the visible keys of a query are an interval: causal, windowed and packed documents
// are all of that form. Softmax in fp32.
// Shape letters: B batch, S queries, K keys, N query heads, G key/value heads (head n uses n / (N/G)), D head size.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// Query i of row b sees keys [first[b,i], last[b,i]); both int32 [B,S], at least one key each.
struct KeyRange {
  at::Tensor first_BS, last_BS;
};

struct AttentionOutput {
  at::Tensor out_BSND;  ///< q's dtype
  at::Tensor lse_BNS;   ///< fp32 logsumexp of the scaled scores
};
struct AttentionGrads {
  at::Tensor dq_BSND, dk_BKGD, dv_BKGD;
};

/// q [B,S,N,D], k and v [B,K,G,D], last dim contiguous.
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  double scale);
/// Deterministic: a fixed order of additions whatever the number of threads.
AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, double scale);

namespace ref {
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  double scale);
AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, double scale);
}  // namespace ref
namespace cpu {
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  double scale);
AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, double scale);
}  // namespace cpu

}  // namespace rialto::kernels
