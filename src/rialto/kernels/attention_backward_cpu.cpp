// Attention backward on the CPU: weights are computed again from the saved logsumexp, block by block, fp32 inside.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

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
  float scale;
};

/// scores -> weights (in place) and their gradient before the softmax (into dp, in place).
RIALTO_INLINE void weights_and_gradient(float* s, float* dp, Visible seen, float lse, float delta) {
  if (seen.from >= seen.to) {
    std::memset(s, 0, kBlock * sizeof(float));
    std::memset(dp, 0, kBlock * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    const f32x8 p = exp(load(s + i) - lse);
    store(s + i, p);
    store(dp + i, p * (load(dp + i) - delta));
  }
  for (int64_t i = 0; i < seen.from; ++i) s[i] = dp[i] = 0;
  for (int64_t i = seen.to; i < kBlock; ++i) s[i] = dp[i] = 0;
}

template <class T>
RIALTO_INLINE void unpack_rows(const float* packed, int64_t count, const Sizes& n, float factor, T* x, int64_t step) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t d = 0; d < n.head_dim; d += kLanes)
      store(x + i * step + d, load(packed + i * n.padded_dim + d) * factor);
  }
}

/// One row and group: all its heads, so that each sum over heads and queries has one order.
template <class T>
RIALTO_INLINE void backward_pair(const Backward<T>& a, int64_t b, int64_t g) {
  const Sizes& n = a.n;
  const int64_t rows = n.block_rows(), dim = n.padded_dim, padded_keys = n.key_blocks * kBlock,
                span = padded_keys * dim;
  const auto buffer = scratch(span * 6 + rows * (3 * dim + 2 * kBlock + 2));
  float *keys = buffer.get(), *values = keys + span, *keys_t = values + span, *values_t = keys_t + span;
  float *dk = values_t + span, *dv = dk + span;  // zero: the buffer is
  float *q = dv + span, *dout = q + rows * dim, *dq = dout + rows * dim;
  float *p = dq + rows * dim, *dp = p + rows * kBlock, *delta = dp + rows * kBlock, *lse = delta + rows;
  pack_rows(a.k.at(b, 0, g), a.k.position, n.keys, padded_keys, n, 1.0F, keys);
  pack_rows(a.v.at(b, 0, g), a.v.position, n.keys, padded_keys, n, 1.0F, values);
  transpose_blocks(keys, n, keys_t);
  transpose_blocks(values, n, values_t);
  const int32_t *first = a.first + b * n.queries, *last = a.last + b * n.queries;
  for (int64_t block = 0; block < n.query_blocks; ++block) {
    const int64_t start = block * kBlock, count = std::min(kBlock, n.queries - start);
    for (int64_t r = 0; r < n.per_group; ++r) {
      const int64_t head = g * n.per_group + r;
      pack_rows(a.q.at(b, start, head), a.q.position, count, kBlock, n, a.scale, q + r * kBlock * dim);
      pack_rows(a.dout.at(b, start, head), a.dout.position, count, kBlock, n, 1.0F, dout + r * kBlock * dim);
      for (int64_t s = 0; s < count; ++s) {
        const T* out = a.out.at(b, start + s, head);
        f32x8 acc = splat(0);
        for (int64_t d = 0; d < n.head_dim; d += kLanes) acc += load(dout + (r * kBlock + s) * dim + d) * load(out + d);
        delta[r * kBlock + s] = sum_lanes(acc);
        lse[r * kBlock + s] = a.lse[(b * n.groups * n.per_group + head) * n.queries + start + s];
      }
    }
    std::memset(dq, 0, static_cast<size_t>(rows * dim) * sizeof(float));
    const BlockRange seen = blocks_seen(first, last, start, start + count);
    for (int64_t j = seen.from; j < seen.to; ++j) {
      const int64_t at = j * kBlock * dim;
      small_gemm<false>(rows, kBlock, n.head_dim, q, dim, 1, keys_t + at, kBlock, p, kBlock);
      small_gemm<false>(rows, kBlock, n.head_dim, dout, dim, 1, values_t + at, kBlock, dp, kBlock);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t s = i % kBlock;
        const Visible here = s < count ? visible(first, last, start + s, j) : Visible{0, 0};
        weights_and_gradient(p + i * kBlock, dp + i * kBlock, here, lse[i], delta[i]);
      }
      small_gemm<true>(kBlock, dim, rows, p, 1, kBlock, dout, dim, dv + at, dim);
      small_gemm<true>(kBlock, dim, rows, dp, 1, kBlock, q, dim, dk + at, dim);
      small_gemm<true>(rows, dim, kBlock, dp, kBlock, 1, keys + at, dim, dq, dim);
    }
    for (int64_t r = 0; r < n.per_group; ++r) {
      unpack_rows(dq + r * kBlock * dim, count, n, a.scale, a.dq.at(b, start, g * n.per_group + r), a.dq.position);
    }
  }
  unpack_rows(dk, n.keys, n, 1.0F, a.dk.at(b, 0, g), a.dk.position);
  unpack_rows(dv, n.keys, n, 1.0F, a.dv.at(b, 0, g), a.dv.position);
}

RIALTO_SIMD void backward_f32(const Backward<float>& a, int64_t b, int64_t g) { backward_pair(a, b, g); }
RIALTO_SIMD void backward_bf16(const Backward<bf16>& a, int64_t b, int64_t g) { backward_pair(a, b, g); }
void run(const Backward<float>& a, int64_t b, int64_t g) { backward_f32(a, b, g); }
void run(const Backward<bf16>& a, int64_t b, int64_t g) { backward_bf16(a, b, g); }

template <class T>
AttentionGrads backward_typed(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const AttentionOutput& forward, const KeyRange& range, double scale) {
  const Sizes n(q, k);
  AttentionGrads grads{at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()),
                       at::empty(v.sizes(), v.options())};
  const Backward<T> args{n,
                         reading<T>(dout),
                         reading<T>(q),
                         reading<T>(k),
                         reading<T>(v),
                         reading<T>(forward.out_BSND),
                         writing<T>(grads.dq_BSND),
                         writing<T>(grads.dk_BKGD),
                         writing<T>(grads.dv_BKGD),
                         forward.lse_BNS.const_data_ptr<float>(),
                         range.first_BS.const_data_ptr<int32_t>(),
                         range.last_BS.const_data_ptr<int32_t>(),
                         static_cast<float>(scale)};
  at::parallel_for(0, n.rows * n.groups, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) run(args, i / n.groups, i % n.groups);
  });
  return grads;
}

}  // namespace

AttentionGrads cpu::attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const AttentionOutput& forward, const KeyRange& range,
                                       double scale) {
  return q.scalar_type() == at::kFloat ? backward_typed<float>(dout, q, k, v, forward, range, scale)
                                       : backward_typed<bf16>(dout, q, k, v, forward, range, scale);
}

}  // namespace rialto::kernels
