// Attention forward on the CPU: blocks of queries against blocks of keys with a running softmax, fp32 inside. Blocks
// that no query sees are never touched, so windows and packed documents cost what they show.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

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
  float scale;
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
  const int64_t rows = n.block_rows(), dim = n.padded_dim, padded_keys = n.key_blocks * kBlock;
  const auto buffer = scratch(padded_keys * dim * 3 + rows * (2 * dim + kBlock + 2));
  float *keys = buffer.get(), *values = keys + padded_keys * dim, *keys_t = values + padded_keys * dim;
  float *q = keys_t + padded_keys * dim, *out = q + rows * dim, *scores = out + rows * dim;
  float *max = scores + rows * kBlock, *sum = max + rows;
  pack_rows(a.k.at(b, 0, g), a.k.position, n.keys, padded_keys, n, 1.0F, keys);
  pack_rows(a.v.at(b, 0, g), a.v.position, n.keys, padded_keys, n, 1.0F, values);
  transpose_blocks(keys, n, keys_t);
  const int32_t *first = a.first + b * n.queries, *last = a.last + b * n.queries;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t start = block * kBlock, count = std::min(kBlock, n.queries - start);
    for (int64_t r = 0; r < n.per_group; ++r) {
      pack_rows(a.q.at(b, start, g * n.per_group + r), a.q.position, count, kBlock, n, a.scale, q + r * kBlock * dim);
    }
    std::memset(out, 0, static_cast<size_t>(rows * dim) * sizeof(float));
    for (int64_t i = 0; i < rows; ++i) {
      max[i] = -kInfinity;
      sum[i] = 0;
    }
    const BlockRange seen = blocks_seen(first, last, start, start + count);
    for (int64_t j = seen.from; j < seen.to; ++j) {
      small_gemm<false>(rows, kBlock, n.head_dim, q, dim, 1, keys_t + j * kBlock * dim, kBlock, scores, kBlock);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t s = i % kBlock;
        const Visible here = s < count ? visible(first, last, start + s, j) : Visible{0, 0};
        soften(scores + i * kBlock, here, max[i], sum[i], out + i * dim, dim);
      }
      small_gemm<true>(rows, dim, kBlock, scores, kBlock, 1, values + j * kBlock * dim, dim, out, dim);
    }
    for (int64_t r = 0; r < n.per_group; ++r) {
      for (int64_t s = 0; s < count; ++s) {
        const int64_t i = r * kBlock + s, head = g * n.per_group + r;
        T* to = a.out.at(b, start + s, head);
        for (int64_t d = 0; d < n.head_dim; d += kLanes) store(to + d, load(out + i * dim + d) / sum[i]);
        a.lse[(b * n.groups * n.per_group + head) * n.queries + start + s] = max[i] + std::log(sum[i]);
      }
    }
  }
}

/// One query per row (generation): keys are read once, as they lie.
template <class T>
RIALTO_INLINE void forward_single(const Forward<T>& a, int64_t b, int64_t g) {
  const Sizes& n = a.n;
  const int64_t first = a.first[b], last = a.last[b], dim = n.head_dim;
  const auto buffer = scratch((last - first) + 2 * dim);
  float *p = buffer.get(), *q = p + (last - first), *out = q + dim;
  for (int64_t head = g * n.per_group; head < (g + 1) * n.per_group; ++head) {
    for (int64_t d = 0; d < dim; d += kLanes) {
      store(q + d, load(a.q.at(b, 0, head) + d) * a.scale);
      store(out + d, splat(0));
    }
    float max = -kInfinity;
    for (int64_t j = first; j < last; ++j) {
      const T* key = a.k.at(b, j, g);
      f32x8 acc = splat(0);
      for (int64_t d = 0; d < dim; d += kLanes) acc += load(q + d) * load(key + d);
      p[j - first] = sum_lanes(acc);
      max = std::max(max, p[j - first]);
    }
    float sum = 0;
    for (int64_t j = first; j < last; ++j) {
      const float e = exp(splat(p[j - first] - max))[0];
      sum += e;
      const T* value = a.v.at(b, j, g);
      for (int64_t d = 0; d < dim; d += kLanes) store(out + d, load(out + d) + load(value + d) * e);
    }
    T* to = a.out.at(b, 0, head);
    for (int64_t d = 0; d < dim; d += kLanes) store(to + d, load(out + d) / sum);
    a.lse[b * n.groups * n.per_group + head] = max + std::log(sum);
  }
}

#define RIALTO_FORWARD(name, T)                                                                                  \
  RIALTO_SIMD void name(const Forward<T>& a, int64_t b, int64_t g, int64_t begin, int64_t end) {                 \
    forward_blocks(a, b, g, begin, end);                                                                         \
  }                                                                                                              \
  RIALTO_SIMD void name##_single(const Forward<T>& a, int64_t b, int64_t g) { forward_single(a, b, g); }         \
  void run(const Forward<T>& a, int64_t b, int64_t g, int64_t begin, int64_t end) { name(a, b, g, begin, end); } \
  void run_single(const Forward<T>& a, int64_t b, int64_t g) { name##_single(a, b, g); }
RIALTO_FORWARD(forward_f32, float)
RIALTO_FORWARD(forward_bf16, bf16)
#undef RIALTO_FORWARD

template <class T>
AttentionOutput forward_typed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const KeyRange& range,
                              double scale) {
  const Sizes n(q, k);
  AttentionOutput out{at::empty(q.sizes(), q.options()),
                      at::empty({n.rows, q.size(2), n.queries}, q.options().dtype(at::kFloat))};
  const Forward<T> args{n,
                        reading<T>(q),
                        reading<T>(k),
                        reading<T>(v),
                        writing<T>(out.out_BSND),
                        out.lse_BNS.template data_ptr<float>(),
                        range.first_BS.const_data_ptr<int32_t>(),
                        range.last_BS.const_data_ptr<int32_t>(),
                        static_cast<float>(scale)};
  const int64_t pairs = n.rows * n.groups;
  if (n.queries == 1) {
    at::parallel_for(0, pairs, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) run_single(args, i / n.groups, i % n.groups);
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
                                       const KeyRange& range, double scale) {
  return q.scalar_type() == at::kFloat ? forward_typed<float>(q, k, v, range, scale)
                                       : forward_typed<bf16>(q, k, v, range, scale);
}

}  // namespace rialto::kernels
