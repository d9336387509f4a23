// Head splitting and rotation on the CPU: one pass over a token's row, casting on the way.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "rialto/kernels/rope.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;

/// One head from `from` to `to`; channels beyond 2P are copied. sign -1 rotates back.
template <class In, class Out>
RIALTO_INLINE void rotate_head(const In* from, Out* to, const float* cos, const float* sin, float sign, int64_t pairs,
                               int64_t head_dim) {
  int64_t i = 0;
  for (; i + kLanes <= pairs; i += kLanes) {
    const f32x8 a = load(from + i), b = load(from + pairs + i), c = load(cos + i), s = load(sin + i) * sign;
    store(to + i, a * c - b * s);
    store(to + pairs + i, b * c + a * s);
  }
  for (; i < pairs; ++i) {
    const float a = static_cast<float>(from[i]), b = static_cast<float>(from[pairs + i]), s = sin[i] * sign;
    to[i] = static_cast<Out>(a * cos[i] - b * s);
    to[pairs + i] = static_cast<Out>(b * cos[i] + a * s);
  }
  for (i = 2 * pairs; i + kLanes <= head_dim; i += kLanes) store(to + i, load(from + i));
  for (; i < head_dim; ++i) to[i] = static_cast<Out>(static_cast<float>(from[i]));
}

/// Both directions: `packed` is the qkv row, q, k, v the heads; `split` says which side is read.
template <class In, class Out, bool split>
struct Rows {
  using Packed = std::conditional_t<split, const In, Out>;
  using Head = std::conditional_t<split, Out, const In>;
  Packed* packed;
  Head *q, *k, *v;
  const float *cos, *sin;
  int64_t groups, per_group, head_dim, pairs;  ///< per_group: R + 2
};

template <class In, class Out, bool split>
RIALTO_INLINE void rows(const Rows<In, Out, split>& a, int64_t first, int64_t last) {
  const int64_t queries = a.per_group - 2;
  for (int64_t t = first; t < last; ++t) {
    const float *cos = a.cos + t * a.pairs, *sin = a.sin + t * a.pairs;
    for (int64_t g = 0; g < a.groups; ++g) {
      for (int64_t r = 0; r < a.per_group; ++r) {
        auto* packed = a.packed + ((t * a.groups + g) * a.per_group + r) * a.head_dim;
        auto* head = (r < queries    ? a.q + ((t * a.groups + g) * queries + r) * a.head_dim
                      : r == queries ? a.k + (t * a.groups + g) * a.head_dim
                                     : a.v + (t * a.groups + g) * a.head_dim);
        const int64_t pairs = r <= queries ? a.pairs : 0;
        if constexpr (split) {
          rotate_head(packed, head, cos, sin, 1.0F, pairs, a.head_dim);
        } else {
          rotate_head(head, packed, cos, sin, -1.0F, pairs, a.head_dim);
        }
      }
    }
  }
}

#define RIALTO_ROPE_BODY(name, In, Out, split)                                                                \
  RIALTO_SIMD void name(const Rows<In, Out, split>& a, int64_t first, int64_t last) { rows(a, first, last); } \
  void run(const Rows<In, Out, split>& a, int64_t first, int64_t last) { name(a, first, last); }
RIALTO_ROPE_BODY(split_ff, float, float, true)
RIALTO_ROPE_BODY(split_fb, float, bf16, true)
RIALTO_ROPE_BODY(split_bf, bf16, float, true)
RIALTO_ROPE_BODY(split_bb, bf16, bf16, true)
RIALTO_ROPE_BODY(merge_ff, float, float, false)
RIALTO_ROPE_BODY(merge_fb, float, bf16, false)
RIALTO_ROPE_BODY(merge_bf, bf16, float, false)
RIALTO_ROPE_BODY(merge_bb, bf16, bf16, false)
#undef RIALTO_ROPE_BODY

struct Angles {
  const float *cos = nullptr, *sin = nullptr;
  int64_t pairs = 0;
  explicit Angles(const RopeTable& rope) {
    if (!rope.defined()) return;
    cos = rope.cos_TP.const_data_ptr<float>();
    sin = rope.sin_TP.const_data_ptr<float>();
    pairs = rope.cos_TP.size(1);
  }
};

template <class In, class Out>
void split_typed(const at::Tensor& qkv, Heads& heads, const RopeTable& rope) {
  const Angles angles(rope);
  const int64_t groups = heads.k_TGD.size(1), head_dim = heads.k_TGD.size(2);
  const Rows<In, Out, true> args{qkv.const_data_ptr<In>(),
                                 heads.q_TND.data_ptr<Out>(),
                                 heads.k_TGD.data_ptr<Out>(),
                                 heads.v_TGD.data_ptr<Out>(),
                                 angles.cos,
                                 angles.sin,
                                 groups,
                                 qkv.size(1) / (groups * head_dim),
                                 head_dim,
                                 angles.pairs};
  at::parallel_for(0, qkv.size(0), 16, [&](int64_t first, int64_t last) { run(args, first, last); });
}

template <class In, class Out>
void merge_typed(const Heads& grads, at::Tensor& qkv, const RopeTable& rope) {
  const Angles angles(rope);
  const int64_t groups = grads.k_TGD.size(1), head_dim = grads.k_TGD.size(2);
  const Rows<In, Out, false> args{qkv.data_ptr<Out>(),
                                  grads.q_TND.const_data_ptr<In>(),
                                  grads.k_TGD.const_data_ptr<In>(),
                                  grads.v_TGD.const_data_ptr<In>(),
                                  angles.cos,
                                  angles.sin,
                                  groups,
                                  qkv.size(1) / (groups * head_dim),
                                  head_dim,
                                  angles.pairs};
  at::parallel_for(0, qkv.size(0), 16, [&](int64_t first, int64_t last) { run(args, first, last); });
}

}  // namespace

Heads cpu::split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope,
                       at::ScalarType out) {
  const at::Tensor x = qkv.contiguous();
  const int64_t tokens = x.size(0), per_group = x.size(1) / (groups * head_dim);
  const auto options = x.options().dtype(out);
  Heads heads{at::empty({tokens, groups * (per_group - 2), head_dim}, options),
              at::empty({tokens, groups, head_dim}, options), at::empty({tokens, groups, head_dim}, options)};
  const bool in_f32 = x.scalar_type() == at::kFloat, out_f32 = out == at::kFloat;
  if (in_f32) {
    out_f32 ? split_typed<float, float>(x, heads, rope) : split_typed<float, bf16>(x, heads, rope);
  } else {
    out_f32 ? split_typed<bf16, float>(x, heads, rope) : split_typed<bf16, bf16>(x, heads, rope);
  }
  return heads;
}

at::Tensor cpu::merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out) {
  const Heads g{grads.q_TND.contiguous(), grads.k_TGD.contiguous(), grads.v_TGD.contiguous()};
  at::Tensor qkv = at::empty({g.k_TGD.size(0), (g.q_TND.size(1) + 2 * g.k_TGD.size(1)) * g.k_TGD.size(2)},
                             g.q_TND.options().dtype(out));
  const bool in_f32 = g.q_TND.scalar_type() == at::kFloat, out_f32 = out == at::kFloat;
  if (in_f32) {
    out_f32 ? merge_typed<float, float>(g, qkv, rope) : merge_typed<float, bf16>(g, qkv, rope);
  } else {
    out_f32 ? merge_typed<bf16, float>(g, qkv, rope) : merge_typed<bf16, bf16>(g, qkv, rope);
  }
  return qkv;
}

}  // namespace rialto::kernels
