// Head splitting and rotation on the CPU: one pass over a token's row, casting on the way.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "rialto/kernels/rope.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;

/// One token's angles. sign -1 rotates back.
struct Turn {
  const float *cos, *sin;
  float sign;
  int64_t pairs;
  bool adjacent;
};

template <class In, class Out>
RIALTO_INLINE void copy_channels(const In* from, Out* to, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(to + i, load(from + i));
  for (; i < end; ++i) to[i] = static_cast<Out>(static_cast<float>(from[i]));
}

/// The 2P channels at `from`; a of pair i is at i * step, b `distance` after it.
template <class In, class Out>
RIALTO_INLINE void turn_pairs(const In* from, Out* to, const Turn& turn, int64_t begin, int64_t step,
                              int64_t distance) {
  for (int64_t i = begin; i < turn.pairs; ++i) {
    const int64_t at = i * step;
    const float a = static_cast<float>(from[at]), b = static_cast<float>(from[at + distance]);
    const float c = turn.cos[i], s = turn.sin[i] * turn.sign;
    to[at] = static_cast<Out>(a * c - b * s);
    to[at + distance] = static_cast<Out>(b * c + a * s);
  }
}

/// One head from `from` to `to`: channels [first, first + 2P) turn, the others are copied.
template <class In, class Out>
RIALTO_INLINE void rotate_head(const In* from, Out* to, const Turn& turn, int64_t first, int64_t head_dim) {
  copy_channels(from, to, 0, first);
  const In* x = from + first;
  Out* y = to + first;
  if (turn.adjacent) {
    turn_pairs(x, y, turn, 0, 2, 1);
  } else {
    int64_t i = 0;
    for (; i + kLanes <= turn.pairs; i += kLanes) {
      const f32x8 a = load(x + i), b = load(x + turn.pairs + i);
      const f32x8 c = load(turn.cos + i), s = load(turn.sin + i) * turn.sign;
      store(y + i, a * c - b * s);
      store(y + turn.pairs + i, b * c + a * s);
    }
    turn_pairs(x, y, turn, i, 1, turn.pairs);
  }
  copy_channels(from, to, first + 2 * turn.pairs, head_dim);
}

/// Every token's angles.
struct Angles {
  const float *cos = nullptr, *sin = nullptr;
  int64_t pairs = 0;
  bool adjacent = false;
  explicit Angles(const RopeTable& rope) : adjacent(rope.adjacent) {
    if (!rope.defined()) return;
    cos = rope.cos_TP.const_data_ptr<float>();
    sin = rope.sin_TP.const_data_ptr<float>();
    pairs = rope.cos_TP.size(1);
  }
  Turn of(int64_t token, float sign) const { return {cos + token * pairs, sin + token * pairs, sign, pairs, adjacent}; }
};

/// Both directions: `packed` is the qkv row, q, k, v the heads; `split` says which side is read.
template <class In, class Out, bool split>
struct Rows {
  using Packed = std::conditional_t<split, const In, Out>;
  using Head = std::conditional_t<split, Out, const In>;
  Packed* packed;
  Head *q, *k, *v;
  Angles angles;
  int64_t groups, per_group, head_dim;  ///< per_group: R + 2
};

template <class In, class Out, bool split>
RIALTO_INLINE void rows(const Rows<In, Out, split>& a, int64_t first, int64_t last) {
  const int64_t queries = a.per_group - 2;
  for (int64_t t = first; t < last; ++t) {
    const Turn turn = a.angles.of(t, split ? 1.0F : -1.0F);
    for (int64_t g = 0; g < a.groups; ++g) {
      for (int64_t r = 0; r < a.per_group; ++r) {
        auto* packed = a.packed + ((t * a.groups + g) * a.per_group + r) * a.head_dim;
        auto* head = (r < queries    ? a.q + ((t * a.groups + g) * queries + r) * a.head_dim
                      : r == queries ? a.k + (t * a.groups + g) * a.head_dim
                                     : a.v + (t * a.groups + g) * a.head_dim);
        const Turn here = r > queries ? Turn{turn.cos, turn.sin, 1.0F, 0, false} : turn;  // values stay
        if constexpr (split) {
          rotate_head(packed, head, here, 0, a.head_dim);
        } else {
          rotate_head(head, packed, here, 0, a.head_dim);
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
RIALTO_ROPE_BODY(split_fh, float, f16, true)
RIALTO_ROPE_BODY(split_hf, f16, float, true)
RIALTO_ROPE_BODY(split_hh, f16, f16, true)
RIALTO_ROPE_BODY(merge_ff, float, float, false)
RIALTO_ROPE_BODY(merge_fb, float, bf16, false)
RIALTO_ROPE_BODY(merge_bf, bf16, float, false)
RIALTO_ROPE_BODY(merge_bb, bf16, bf16, false)
RIALTO_ROPE_BODY(merge_fh, float, f16, false)
RIALTO_ROPE_BODY(merge_hf, f16, float, false)
RIALTO_ROPE_BODY(merge_hh, f16, f16, false)
#undef RIALTO_ROPE_BODY

/// x and y [T, heads, head_dim].
template <class T>
struct Rotation {
  const T* x;
  T* y;
  Angles angles;
  float sign;
  int64_t heads, head_dim, first_channel;
};

template <class T>
RIALTO_INLINE void rotate_tokens(const Rotation<T>& a, int64_t first, int64_t last) {
  for (int64_t t = first; t < last; ++t) {
    const Turn turn = a.angles.of(t, a.sign);
    for (int64_t h = 0; h < a.heads; ++h) {
      const int64_t at = (t * a.heads + h) * a.head_dim;
      rotate_head(a.x + at, a.y + at, turn, a.first_channel, a.head_dim);
    }
  }
}
RIALTO_SIMD void rotate_f32(const Rotation<float>& a, int64_t first, int64_t last) { rotate_tokens(a, first, last); }
RIALTO_SIMD void rotate_bf16(const Rotation<bf16>& a, int64_t first, int64_t last) { rotate_tokens(a, first, last); }
RIALTO_SIMD void rotate_f16(const Rotation<f16>& a, int64_t first, int64_t last) { rotate_tokens(a, first, last); }
void run(const Rotation<float>& a, int64_t first, int64_t last) { rotate_f32(a, first, last); }
void run(const Rotation<bf16>& a, int64_t first, int64_t last) { rotate_bf16(a, first, last); }
void run(const Rotation<f16>& a, int64_t first, int64_t last) { rotate_f16(a, first, last); }

template <class T>
void rotate_typed(const at::Tensor& x, at::Tensor& y, const RopeTable& rope, bool inverse, int64_t first_channel) {
  const Rotation<T> args{x.const_data_ptr<T>(),  y.data_ptr<T>(), Angles(rope),
                         inverse ? -1.0F : 1.0F, x.size(1),       x.size(2),
                         first_channel};
  at::parallel_for(0, x.size(0), 16, [&](int64_t first, int64_t last) { run(args, first, last); });
}

/// run(In{}, Out{}): both the same type, or one of them fp32.
template <class Run>
void with_types(at::ScalarType in, at::ScalarType out, const Run& run) {
  with_type(in, [&]<class In>(In from) {
    if (out == at::kFloat) return run(from, float{});
    if constexpr (std::is_same_v<In, float>) {
      out == at::kHalf ? run(from, f16{}) : run(from, bf16{});
    } else {
      run(from, from);
    }
  });
}

template <class In, class Out>
void split_typed(const at::Tensor& qkv, Heads& heads, const RopeTable& rope) {
  const Angles angles(rope);
  const int64_t groups = heads.k_TGD.size(1), head_dim = heads.k_TGD.size(2);
  const Rows<In, Out, true> args{qkv.const_data_ptr<In>(),
                                 heads.q_TND.data_ptr<Out>(),
                                 heads.k_TGD.data_ptr<Out>(),
                                 heads.v_TGD.data_ptr<Out>(),
                                 angles,
                                 groups,
                                 qkv.size(1) / (groups * head_dim),
                                 head_dim};
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
                                  angles,
                                  groups,
                                  qkv.size(1) / (groups * head_dim),
                                  head_dim};
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
  with_types(x.scalar_type(), out, [&]<class In, class Out>(In, Out) { split_typed<In, Out>(x, heads, rope); });
  return heads;
}

at::Tensor cpu::merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out) {
  const Heads g{grads.q_TND.contiguous(), grads.k_TGD.contiguous(), grads.v_TGD.contiguous()};
  at::Tensor qkv = at::empty({g.k_TGD.size(0), (g.q_TND.size(1) + 2 * g.k_TGD.size(1)) * g.k_TGD.size(2)},
                             g.q_TND.options().dtype(out));
  with_types(g.q_TND.scalar_type(), out, [&]<class In, class Out>(In, Out) { merge_typed<In, Out>(g, qkv, rope); });
  return qkv;
}

at::Tensor cpu::rotate(const at::Tensor& x, const RopeTable& rope, bool inverse, int64_t first_channel) {
  const at::Tensor from = x.contiguous();
  at::Tensor y = at::empty_like(from);
  with_type(from.scalar_type(), [&]<class T>(T) { rotate_typed<T>(from, y, rope, inverse, first_channel); });
  return y;
}

}  // namespace rialto::kernels
