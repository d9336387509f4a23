// Attention in plain ATen operations (the whole score matrix at once), and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/attention.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::kernels {
namespace {

/// [B,1,1,S,K]: true where the query may not look.
at::Tensor hidden_keys(const KeyRange& range, int64_t keys) {
  const at::Tensor key = at::arange(keys, range.first_BS.options());
  const at::Tensor first = range.first_BS.unsqueeze(-1), last = range.last_BS.unsqueeze(-1);
  return at::logical_or(key < first, key >= last).unsqueeze(1).unsqueeze(1);
}

/// [B,S,N,D] -> [B,G,R,S,D], and [B,K,G,D] -> [B,G,1,K,D], in the wide type.
at::Tensor by_group(const at::Tensor& x, int64_t groups) {
  return x.to(wide_type(x)).unflatten(2, {groups, x.size(2) / groups}).permute({0, 2, 3, 1, 4});
}

/// The blocked CPU body reads heads of whole vectors.
bool fast(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto type = q.scalar_type();
  return q.is_cpu() && (type == at::kFloat || type == at::kBFloat16) && k.scalar_type() == type &&
         v.scalar_type() == type && q.size(-1) % 8 == 0 && q.stride(-1) == 1 && k.stride(-1) == 1 && v.stride(-1) == 1;
}

at::Tensor from_groups(const at::Tensor& x) { return x.permute({0, 3, 1, 2, 4}).flatten(2, 3).contiguous(); }

}  // namespace

AttentionOutput ref::attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const KeyRange& range, double scale) {
  const int64_t groups = k.size(2);
  const at::Tensor keys = by_group(k, groups);
  at::Tensor scores = at::matmul(by_group(q, groups) * scale, keys.transpose(-1, -2));
  scores = scores.masked_fill(hidden_keys(range, k.size(1)), -std::numeric_limits<double>::infinity());
  const at::Tensor lse = at::logsumexp(scores, -1);
  const at::Tensor out = at::matmul(at::exp(scores - lse.unsqueeze(-1)), by_group(v, groups));
  return {from_groups(out).to(q.scalar_type()), lse.flatten(1, 2).contiguous()};
}

AttentionGrads ref::attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const AttentionOutput& forward, const KeyRange& range,
                                       double scale) {
  const int64_t groups = k.size(2);
  const at::Tensor queries = by_group(q, groups), keys = by_group(k, groups), values = by_group(v, groups);
  const at::Tensor g = by_group(dout, groups), out = by_group(forward.out_BSND, groups);
  at::Tensor scores = at::matmul(queries * scale, keys.transpose(-1, -2));
  scores = scores.masked_fill(hidden_keys(range, k.size(1)), -std::numeric_limits<double>::infinity());
  const at::Tensor p = at::exp(scores - forward.lse_BNS.unflatten(1, {groups, -1}).unsqueeze(-1));
  const at::Tensor dp = at::matmul(g, values.transpose(-1, -2));
  const at::Tensor ds = p * (dp - (g * out).sum(-1, true)) * scale;
  const at::Tensor dk = at::matmul(ds.transpose(-1, -2), queries).sum(2, true);
  const at::Tensor dv = at::matmul(p.transpose(-1, -2), g).sum(2, true);
  return {from_groups(at::matmul(ds, keys)).to(q.scalar_type()), from_groups(dk).to(k.scalar_type()),
          from_groups(dv).to(v.scalar_type())};
}

AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  double scale) {
  return fast(q, k, v) ? cpu::attention_forward(q, k, v, range, scale) : ref::attention_forward(q, k, v, range, scale);
}

AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, double scale) {
  return fast(q, k, v) && dout.stride(-1) == 1 ? cpu::attention_backward(dout, q, k, v, forward, range, scale)
                                               : ref::attention_backward(dout, q, k, v, forward, range, scale);
}

}  // namespace rialto::kernels
