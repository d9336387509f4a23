// Attention in plain ATen operations (the whole score matrix at once), and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include <fmt/ranges.h>

#include "rialto/base/error.h"
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

/// The blocked CPU body knows three types, and heads that lie in one piece.
bool fast(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto type = q.scalar_type();
  return q.is_cpu() && has_narrow_type(q) && k.scalar_type() == type && v.scalar_type() == type && q.stride(-1) == 1 &&
         k.stride(-1) == 1 && v.stride(-1) == 1;
}

void check(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Scoring& scoring) {
  const bool fits = q.size(0) == k.size(0) && q.size(3) == k.size(3) &&
                    k.sizes().slice(0, 3) == v.sizes().slice(0, 3) && q.size(2) % k.size(2) == 0 &&
                    (!scoring.sinks_N.defined() || scoring.sinks_N.numel() == q.size(2));
  if (fits) return;
  const auto text = [](const at::Tensor& x) { return fmt::format("[{}]", fmt::join(x.sizes(), ",")); };
  throw Error(ErrorKind::kShape, "attention", "queries, keys and values do not fit each other",
              {.got = fmt::format("q {}, k {}, v {}", text(q), text(k), text(v)),
               .want = "q [B,S,N,D], k [B,K,G,D], v [B,K,G,V], one sink per query head",
               .hint = {}});
}

/// [B,G,R,S,K], hidden keys at minus infinity.
at::Tensor scores_of(const at::Tensor& queries, const at::Tensor& keys, const KeyRange& range, const Scoring& scoring) {
  at::Tensor scores = at::matmul(queries * scoring.scale, keys.transpose(-1, -2));
  if (scoring.softcap > 0) scores = at::tanh(scores / scoring.softcap) * scoring.softcap;
  return scores.masked_fill(hidden_keys(range, keys.size(-2)), -std::numeric_limits<double>::infinity());
}

/// 0 for a query that sees nothing: its logsumexp is -infinity, as are its scores.
at::Tensor weights_of(const at::Tensor& scores, const at::Tensor& lse) {
  return at::exp(scores - at::where(at::isneginf(lse), at::zeros_like(lse), lse).unsqueeze(-1));
}

/// [1,G,R,1] in the wide type.
at::Tensor sinks_of(const Scoring& scoring, int64_t groups) {
  return scoring.sinks_N.to(wide_type(scoring.sinks_N)).view({1, groups, -1, 1});
}

/// Weights [B,G,R,S,K], or their gradients, times their factors of dropout.
at::Tensor dropped(const at::Tensor& weights, const Scoring& scoring) {
  if (!scoring.dropout.active()) return weights;
  const WeightPlaces& at = scoring.places;
  const int64_t heads = weights.size(1) * weights.size(2), all_heads = at.first_head + heads;
  const int64_t queries = at.queries ? at.queries : weights.size(3), keys = at.keys ? at.keys : weights.size(4);
  const int64_t padded = (keys + 3) / 4 * 4;
  at::Tensor kept = ref::kept(scoring.dropout, all_heads * queries * padded)
                        .view({weights.size(0), all_heads, queries, padded})
                        .narrow(1, at.first_head, heads);
  kept = at.query_S.defined() ? kept.index_select(2, at.query_S) : kept;
  kept = at.key_K.defined() ? kept.index_select(3, at.key_K) : kept.narrow(3, 0, keys);
  return weights * kept.reshape(weights.sizes()).to(weights.device()) * scoring.dropout.scale();
}

at::Tensor from_groups(const at::Tensor& x) { return x.permute({0, 3, 1, 2, 4}).flatten(2, 3).contiguous(); }

}  // namespace

AttentionOutput ref::attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const KeyRange& range, const Scoring& scoring) {
  const int64_t groups = k.size(2);
  const at::Tensor scores = scores_of(by_group(q, groups), by_group(k, groups), range, scoring);
  at::Tensor lse = at::logsumexp(scores, -1);
  if (scoring.sinks_N.defined()) lse = at::logaddexp(lse, sinks_of(scoring, groups));
  const at::Tensor out = at::matmul(dropped(weights_of(scores, lse), scoring), by_group(v, groups));
  return {from_groups(out).to(q.scalar_type()), lse.flatten(1, 2).contiguous()};
}

AttentionGrads ref::attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const AttentionOutput& forward, const KeyRange& range,
                                       const Scoring& scoring) {
  const int64_t groups = k.size(2);
  const at::Tensor queries = by_group(q, groups), keys = by_group(k, groups), values = by_group(v, groups);
  const at::Tensor g = by_group(dout, groups), out = by_group(forward.out_BSNV, groups);
  const at::Tensor scores = scores_of(queries, keys, range, scoring);
  const at::Tensor lse = forward.lse_BNS.unflatten(1, {groups, -1});
  const at::Tensor p = weights_of(scores, lse);
  const at::Tensor dp = dropped(at::matmul(g, values.transpose(-1, -2)), scoring), delta = (g * out).sum(-1);
  at::Tensor ds = p * (dp - delta.unsqueeze(-1)) * scoring.scale;
  if (scoring.softcap > 0) {
    // Of a hidden key the score is infinite and the weight 0; its slope is anything finite.
    const at::Tensor ratio = at::where(p > 0, scores / scoring.softcap, at::zeros_like(scores));
    ds = ds * (1 - ratio.square());
  }
  const at::Tensor dk = at::matmul(ds.transpose(-1, -2), queries).sum(2, true);
  const at::Tensor dv = at::matmul(dropped(p, scoring).transpose(-1, -2), g).sum(2, true);
  AttentionGrads grads{from_groups(at::matmul(ds, keys)).to(q.scalar_type()), from_groups(dk).to(k.scalar_type()),
                       from_groups(dv).to(v.scalar_type())};
  // The sink is a key without a value: its product is 0, so what remains of (dp - delta) is -delta.
  if (scoring.sinks_N.defined()) {
    grads.dsinks_N = -(at::exp(sinks_of(scoring, groups) - lse) * delta)
                          .sum(at::IntArrayRef{0, 3})
                          .reshape({-1})
                          .to(wide_type(scoring.sinks_N));
  }
  return grads;
}

AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                                  const Scoring& scoring) {
  check(q, k, v, scoring);
  return fast(q, k, v) ? cpu::attention_forward(q, k, v, range, scoring)
                       : ref::attention_forward(q, k, v, range, scoring);
}

AttentionGrads attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionOutput& forward, const KeyRange& range, const Scoring& scoring) {
  check(q, k, v, scoring);
  return fast(q, k, v) && dout.stride(-1) == 1 ? cpu::attention_backward(dout, q, k, v, forward, range, scoring)
                                               : ref::attention_backward(dout, q, k, v, forward, range, scoring);
}

}  // namespace rialto::kernels
