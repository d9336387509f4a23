// Attention backward on the CPU: weights are computed again from the saved logsumexp, block by block, fp32 inside.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "rialto/kernels/attention_blocks.h"

namespace rialto::kernels {
namespace {

using namespace attention_blocks;

template <class T>
struct Backward {
  Sizes n;
  View<const T> dout, q, k, v, out;
  View<T> dq, dk, dv;
  const float* lse;             ///< [B,N,S]
  const int32_t *first, *last;  ///< [B,S]
  float scale, cap;             ///< cap 0: none
  const float* sinks;           ///< [N] or null
  double* dsinks;               ///< [B,N], zero at the start
  Drops drops;
};

/// scores -> weights (in place) and their gradient before the softmax and the cap (into dp, in place).
RIALTO_INLINE void weights_and_gradient(float* s, float* dp, Visible seen, float lse, float delta, float inverse_cap) {
  if (seen.from >= seen.to) {
    std::memset(s, 0, kBlock * sizeof(float));
    std::memset(dp, 0, kBlock * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    const f32x8 score = load(s + i), p = exp(score - lse), ratio = score * inverse_cap;
    store(s + i, p);
    store(dp + i, p * (load(dp + i) - delta) * (1.0F - ratio * ratio));
  }
  for (int64_t i = 0; i < seen.from; ++i) s[i] = dp[i] = 0;
  for (int64_t i = seen.to; i < kBlock; ++i) s[i] = dp[i] = 0;
}

/// Of one query: sum of dout * out, with dout packed and padded.
template <class T>
RIALTO_INLINE float output_product(const float* dout, const T* out, int64_t dim) {
  f32x8 acc = splat(0);
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) acc += load(dout + d) * load(out + d);
  if (d < dim) acc += load(dout + d) * load_part(out + d, dim - d);
  return sum_lanes(acc);
}

/// One row and group: all its heads, so that each sum over heads and queries has one order.
template <class T>
RIALTO_INLINE void backward_pair(const Backward<T>& a, int64_t b, int64_t g) {
  const Sizes& n = a.n;
  const int64_t rows = n.block_rows(), dim = n.padded_dim, vdim = n.padded_value, padded_keys = n.padded_keys();
  const int64_t span = padded_keys * dim, vspan = padded_keys * vdim;
  const auto buffer = scratch(3 * (span + vspan) + rows * (2 * dim + vdim + 2 * kBlock + 2));
  float *keys = buffer.get(), *keys_t = keys + span, *dk = keys_t + span;
  float *values = dk + span, *values_t = values + vspan, *dv = values_t + vspan;  // dk, dv zero: the buffer is
  float *q = dv + vspan, *dq = q + rows * dim, *dout = dq + rows * dim;
  float *p = dout + rows * vdim, *dp = p + rows * kBlock, *delta = dp + rows * kBlock, *lse = delta + rows;
  pack_rows(a.k.at(b, 0, g), a.k.position, n.keys, padded_keys, n.head_dim, 1.0F, keys);
  pack_rows(a.v.at(b, 0, g), a.v.position, n.keys, padded_keys, n.value_dim, 1.0F, values);
  transpose_blocks(keys, n.key_blocks, dim, keys_t);
  transpose_blocks(values, n.key_blocks, vdim, values_t);
  const int32_t *first = a.first + b * n.queries, *last = a.last + b * n.queries;
  const float inverse_cap = a.cap > 0 ? 1.0F / a.cap : 0.0F;
  for (int64_t block = 0; block < n.query_blocks; ++block) {
    const int64_t start = block * kBlock, count = std::min(kBlock, n.queries - start);
    for (int64_t r = 0; r < n.per_group; ++r) {
      const int64_t head = g * n.per_group + r;
      pack_rows(a.q.at(b, start, head), a.q.position, count, kBlock, n.head_dim, a.scale, q + r * kBlock * dim);
      pack_rows(a.dout.at(b, start, head), a.dout.position, count, kBlock, n.value_dim, 1.0F, dout + r * kBlock * vdim);
      double dsink = 0;
      for (int64_t s = 0; s < count; ++s) {
        const int64_t i = r * kBlock + s;
        delta[i] = output_product(dout + i * vdim, a.out.at(b, start + s, head), n.value_dim);
        lse[i] = a.lse[(b * n.heads() + head) * n.queries + start + s];
        if (a.sinks) dsink -= static_cast<double>(exp(splat(a.sinks[head] - lse[i]))[0] * delta[i]);
      }
      if (a.sinks) a.dsinks[b * n.heads() + head] += dsink;
    }
    std::memset(dq, 0, static_cast<size_t>(rows * dim) * sizeof(float));
    const BlockRange seen = blocks_seen(first, last, start, start + count);
    for (int64_t j = seen.from; j < seen.to; ++j) {
      const int64_t at = j * kBlock * dim, vat = j * kBlock * vdim;
      small_gemm<false>(rows, kBlock, n.head_dim, q, dim, 1, keys_t + at, kBlock, p, kBlock);
      small_gemm<false>(rows, kBlock, n.value_dim, dout, vdim, 1, values_t + vat, kBlock, dp, kBlock);
      if (a.cap > 0) cap_scores(p, rows * kBlock, a.cap);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t s = i % kBlock;
        const Visible here = s < count ? visible(first, last, start + s, j) : Visible{0, 0};
        // A dropped weight moves neither the values nor, through the output, its score; delta has them left out too.
        const bool drops = a.drops.active() && here.from < here.to;
        const int64_t head = g * n.per_group + i / kBlock;
        if (drops) a.drops.drop(b, head, start + s, j, dp + i * kBlock);
        weights_and_gradient(p + i * kBlock, dp + i * kBlock, here, lse[i], delta[i], inverse_cap);
        if (drops) a.drops.drop(b, head, start + s, j, p + i * kBlock);
      }
      small_gemm<true>(kBlock, vdim, rows, p, 1, kBlock, dout, vdim, dv + vat, vdim);
      small_gemm<true>(kBlock, dim, rows, dp, 1, kBlock, q, dim, dk + at, dim);
      small_gemm<true>(rows, dim, kBlock, dp, kBlock, 1, keys + at, dim, dq, dim);
    }
    for (int64_t r = 0; r < n.per_group; ++r) {
      unpack_rows(dq + r * kBlock * dim, count, n.head_dim, a.scale, a.dq.at(b, start, g * n.per_group + r),
                  a.dq.position);
    }
  }
  unpack_rows(dk, n.keys, n.head_dim, 1.0F, a.dk.at(b, 0, g), a.dk.position);
  unpack_rows(dv, n.keys, n.value_dim, 1.0F, a.dv.at(b, 0, g), a.dv.position);
}

RIALTO_SIMD void backward_f32(const Backward<float>& a, int64_t b, int64_t g) { backward_pair(a, b, g); }
RIALTO_SIMD void backward_bf16(const Backward<bf16>& a, int64_t b, int64_t g) { backward_pair(a, b, g); }
RIALTO_SIMD void backward_f16(const Backward<f16>& a, int64_t b, int64_t g) { backward_pair(a, b, g); }
void run(const Backward<float>& a, int64_t b, int64_t g) { backward_f32(a, b, g); }
void run(const Backward<bf16>& a, int64_t b, int64_t g) { backward_bf16(a, b, g); }
void run(const Backward<f16>& a, int64_t b, int64_t g) { backward_f16(a, b, g); }

template <class T>
AttentionGrads backward_typed(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const AttentionOutput& forward, const KeyRange& range, const Scoring& scoring) {
  const Sizes n(q, k, v);
  const at::Tensor sinks = scoring.sinks_N.defined() ? scoring.sinks_N.to(at::kFloat).contiguous() : at::Tensor();
  const at::Tensor dsinks = sinks.defined() ? at::zeros({n.rows, n.heads()}, at::kDouble) : at::Tensor();
  AttentionGrads grads{at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()),
                       at::empty(v.sizes(), v.options())};
  const Backward<T> args{n,
                         reading<T>(dout),
                         reading<T>(q),
                         reading<T>(k),
                         reading<T>(v),
                         reading<T>(forward.out_BSNV),
                         writing<T>(grads.dq_BSND),
                         writing<T>(grads.dk_BKGD),
                         writing<T>(grads.dv_BKGV),
                         forward.lse_BNS.const_data_ptr<float>(),
                         range.first_BS.const_data_ptr<int32_t>(),
                         range.last_BS.const_data_ptr<int32_t>(),
                         static_cast<float>(scoring.scale),
                         static_cast<float>(scoring.softcap),
                         sinks.defined() ? sinks.const_data_ptr<float>() : nullptr,
                         dsinks.defined() ? dsinks.data_ptr<double>() : nullptr,
                         Drops(scoring, n)};
  at::parallel_for(0, n.rows * n.groups, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) run(args, i / n.groups, i % n.groups);
  });
  if (dsinks.defined()) grads.dsinks_N = dsinks.sum(0).to(at::kFloat);
  return grads;
}

}  // namespace

AttentionGrads cpu::attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const AttentionOutput& forward, const KeyRange& range,
                                       const Scoring& scoring) {
  return with_type(q.scalar_type(),
                   [&]<class T>(T) { return backward_typed<T>(dout, q, k, v, forward, range, scoring); });
}

}  // namespace rialto::kernels
