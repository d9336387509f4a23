// Attention forward on the CPU: blocks of queries against blocks of keys with a running softmax, fp32 inside. Blocks
// that no query sees are never touched, so windows and packed documents cost what they show.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rialto/kernels/attention_blocks.h"

namespace rialto::kernels {
namespace {

using namespace attention_blocks;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class T>
struct Forward {
  Sizes n;
  View<const T> q, k, v;
  View<T> out;
  float* lse;                   ///< [B,N,S]
  const int32_t *first, *last;  ///< [B,S]
  float scale, cap;             ///< cap 0: none
  const float* sinks;           ///< [N] or null
  Drops drops;
  /// What the softmax of a head starts with: its sink, or nothing.
  float first_max(int64_t head) const { return sinks ? sinks[head] : -kInfinity; }
  float first_sum() const { return sinks ? 1.0F : 0.0F; }
};

/// Running softmax of one row of scores; turns them into weights relative to the new maximum.
RIALTO_INLINE void soften(float* s, Visible seen, float& max, float& sum, float* out, int64_t padded_dim) {
  if (seen.from >= seen.to) {
    std::memset(s, 0, kBlock * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < seen.from; ++i) s[i] = -kInfinity;
  for (int64_t i = seen.to; i < kBlock; ++i) s[i] = -kInfinity;
  f32x8 top = load(s);
  for (int64_t i = kLanes; i < kBlock; i += kLanes) top = maximum(load(s + i), top);
  const float block_max = max_lanes(top);
  if (block_max > max) {
    const float shrink = max == -kInfinity ? 0.0F : exp(splat(max - block_max))[0];
    sum *= shrink;
    for (int64_t d = 0; d < padded_dim; d += kLanes) store(out + d, load(out + d) * shrink);
    max = block_max;
  }
  f32x8 total = splat(0);
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    const f32x8 e = exp(load(s + i) - max);
    store(s + i, e);
    total += e;
  }
  sum += sum_lanes(total);
}

/// Query blocks [begin, end) of one row and group.
template <class T>
RIALTO_INLINE void forward_blocks(const Forward<T>& a, int64_t b, int64_t g, int64_t begin, int64_t end) {
  const Sizes& n = a.n;
  const int64_t rows = n.block_rows(), dim = n.padded_dim, vdim = n.padded_value, padded_keys = n.padded_keys();
  const auto buffer = scratch(padded_keys * (2 * dim + vdim) + rows * (dim + vdim + kBlock + 2));
  float *keys = buffer.get(), *keys_t = keys + padded_keys * dim, *values = keys_t + padded_keys * dim;
  float *q = values + padded_keys * vdim, *out = q + rows * dim, *scores = out + rows * vdim;
  float *max = scores + rows * kBlock, *sum = max + rows;
  pack_rows(a.k.at(b, 0, g), a.k.position, n.keys, padded_keys, n.head_dim, 1.0F, keys);
  pack_rows(a.v.at(b, 0, g), a.v.position, n.keys, padded_keys, n.value_dim, 1.0F, values);
  transpose_blocks(keys, n.key_blocks, dim, keys_t);
  const int32_t *first = a.first + b * n.queries, *last = a.last + b * n.queries;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t start = block * kBlock, count = std::min(kBlock, n.queries - start);
    for (int64_t r = 0; r < n.per_group; ++r) {
      const int64_t head = g * n.per_group + r;
      pack_rows(a.q.at(b, start, head), a.q.position, count, kBlock, n.head_dim, a.scale, q + r * kBlock * dim);
      std::fill_n(max + r * kBlock, kBlock, a.first_max(head));
    }
    std::fill_n(sum, rows, a.first_sum());
    std::memset(out, 0, static_cast<size_t>(rows * vdim) * sizeof(float));
    const BlockRange seen = blocks_seen(first, last, start, start + count);
    for (int64_t j = seen.from; j < seen.to; ++j) {
      small_gemm<false>(rows, kBlock, n.head_dim, q, dim, 1, keys_t + j * kBlock * dim, kBlock, scores, kBlock);
      if (a.cap > 0) cap_scores(scores, rows * kBlock, a.cap);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t s = i % kBlock;
        const Visible here = s < count ? visible(first, last, start + s, j) : Visible{0, 0};
        soften(scores + i * kBlock, here, max[i], sum[i], out + i * vdim, vdim);
        if (a.drops.active() && here.from < here.to)
          a.drops.drop(b, g * n.per_group + i / kBlock, start + s, j, scores + i * kBlock);
      }
      small_gemm<true>(rows, vdim, kBlock, scores, kBlock, 1, values + j * kBlock * vdim, vdim, out, vdim);
    }
    for (int64_t r = 0; r < n.per_group; ++r) {
      for (int64_t s = 0; s < count; ++s) {
        const int64_t i = r * kBlock + s, head = g * n.per_group + r;
        const float total = sum[i];
        float* from = out + i * vdim;
        for (int64_t d = 0; total > 0 && d < vdim; d += kLanes) store(from + d, load(from + d) / total);
        unpack_rows(from, 1, n.value_dim, 1.0F, a.out.at(b, start + s, head), 0);
        a.lse[(b * n.heads() + head) * n.queries + start + s] = max[i] + std::log(total);
      }
    }
  }
}

template <class T>
RIALTO_INLINE float dot(const float* a, const T* b, int64_t dim) {
  f32x8 acc = splat(0);
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) acc += load(a + d) * load(b + d);
  if (d < dim) acc += load(a + d) * load_part(b + d, dim - d);  // a is padded
  return sum_lanes(acc);
}

/// One query of one head (generation): keys are read once, as they lie.
template <class T>
RIALTO_INLINE void forward_single(const Forward<T>& a, int64_t b, int64_t head) {
  const Sizes& n = a.n;
  const int64_t first = a.first[b], last = a.last[b], g = head / n.per_group;
  const auto buffer = scratch((last - first) + kLanes + n.padded_dim + n.padded_value);
  float *q = buffer.get(), *out = q + n.padded_dim, *p = out + n.padded_value;  // out is zero: the buffer is
  pack_rows(a.q.at(b, 0, head), 0, 1, 1, n.head_dim, a.scale, q);
  for (int64_t j = first; j < last; ++j) p[j - first] = dot(q, a.k.at(b, j, g), n.head_dim);
  if (a.cap > 0) cap_scores(p, (last - first + kLanes - 1) / kLanes * kLanes, a.cap);
  float max = a.first_max(head);
  for (int64_t j = 0; j < last - first; ++j) max = std::max(max, p[j]);
  float sum = a.sinks ? exp(splat(a.sinks[head] - max))[0] : 0.0F;
  for (int64_t j = first; j < last; ++j) {
    const float e = exp(splat(p[j - first] - max))[0];
    sum += e;
    const T* value = a.v.at(b, j, g);
    int64_t d = 0;
    for (; d + kLanes <= n.value_dim; d += kLanes) store(out + d, load(out + d) + load(value + d) * e);
    if (d < n.value_dim) store(out + d, load(out + d) + load_part(value + d, n.value_dim - d) * e);
  }
  for (int64_t d = 0; sum > 0 && d < n.padded_value; d += kLanes) store(out + d, load(out + d) / sum);
  unpack_rows(out, 1, n.value_dim, 1.0F, a.out.at(b, 0, head), 0);
  a.lse[b * n.heads() + head] = max + std::log(sum);
}

#define RIALTO_FORWARD(name, T)                                                                                  \
  RIALTO_SIMD void name(const Forward<T>& a, int64_t b, int64_t g, int64_t begin, int64_t end) {                 \
    forward_blocks(a, b, g, begin, end);                                                                         \
  }                                                                                                              \
  RIALTO_SIMD void name##_single(const Forward<T>& a, int64_t b, int64_t head) { forward_single(a, b, head); }   \
  void run(const Forward<T>& a, int64_t b, int64_t g, int64_t begin, int64_t end) { name(a, b, g, begin, end); } \
  void run_single(const Forward<T>& a, int64_t b, int64_t head) { name##_single(a, b, head); }
RIALTO_FORWARD(forward_f32, float)
RIALTO_FORWARD(forward_bf16, bf16)
RIALTO_FORWARD(forward_f16, f16)
#undef RIALTO_FORWARD

template <class T>
AttentionOutput forward_typed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                              const Scoring& scoring) {
  const Sizes n(q, k, v);
  const at::Tensor sinks = scoring.sinks_N.defined() ? scoring.sinks_N.to(at::kFloat).contiguous() : at::Tensor();
  AttentionOutput out{at::empty({n.rows, n.queries, n.heads(), n.value_dim}, q.options()),
                      at::empty({n.rows, q.size(2), n.queries}, q.options().dtype(at::kFloat))};
  const Forward<T> args{n,
                        reading<T>(q),
                        reading<T>(k),
                        reading<T>(v),
                        writing<T>(out.out_BSNV),
                        out.lse_BNS.template data_ptr<float>(),
                        range.first_BS.const_data_ptr<int32_t>(),
                        range.last_BS.const_data_ptr<int32_t>(),
                        static_cast<float>(scoring.scale),
                        static_cast<float>(scoring.softcap),
                        sinks.defined() ? sinks.const_data_ptr<float>() : nullptr,
                        Drops(scoring, n)};
  const int64_t pairs = n.rows * n.groups;
  if (n.queries == 1 && !scoring.dropout.active()) {
    at::parallel_for(0, n.rows * n.heads(), 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) run_single(args, i / n.heads(), i % n.heads());
    });
    return out;
  }
  // Enough tasks for every thread; keys are packed once per task, so no more than that. Splits change no result.
  const int64_t splits =
      std::clamp<int64_t>(2 * at::get_num_threads() / std::max<int64_t>(pairs, 1), 1, n.query_blocks);
  at::parallel_for(0, pairs * splits, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const int64_t pair = i / splits, part = i % splits;
      run(args, pair / n.groups, pair % n.groups, n.query_blocks * part / splits, n.query_blocks * (part + 1) / splits);
    }
  });
  return out;
}

}  // namespace

AttentionOutput cpu::attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const KeyRange& range, const Scoring& scoring) {
  return with_type(q.scalar_type(), [&]<class T>(T) { return forward_typed<T>(q, k, v, range, scoring); });
}

}  // namespace rialto::kernels
