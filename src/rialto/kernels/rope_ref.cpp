// Head splitting and rotation in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/base/error.h"
#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/rope.h"

namespace rialto::kernels {
namespace {

bool fast(const at::Tensor& x) { return x.is_cpu() && has_narrow_type(x); }

/// Throws kShape when the rotated channels reach beyond the head.
void check(const RopeTable& rope, int64_t first_channel, int64_t head_dim) {
  const int64_t end = rope.defined() ? first_channel + 2 * rope.cos_TP.size(1) : 0;
  if (end <= head_dim) return;
  throw Error(ErrorKind::kShape, "rope", "more channels rotate than a head has",
              {.got = std::to_string(end), .want = "at most " + std::to_string(head_dim), .hint = {}});
}

}  // namespace

RopeTable ref::make_rope_table(const at::Tensor& positions_T, const at::Tensor& frequencies_P, double factor,
                               bool adjacent) {
  const at::Tensor angles = positions_T.to(at::kFloat).unsqueeze(1) * frequencies_P.unsqueeze(0);
  return {at::cos(angles) * factor, at::sin(angles) * factor, adjacent};
}

at::Tensor ref::rotate(const at::Tensor& x, const RopeTable& rope, bool inverse, int64_t first_channel) {
  if (!rope.defined()) return x;
  const auto wide = wide_type(x);
  const int64_t p = rope.cos_TP.size(1), end = first_channel + 2 * p;
  const at::Tensor cos = rope.cos_TP.to(wide).unsqueeze(1);
  const at::Tensor sin = (inverse ? -rope.sin_TP : rope.sin_TP).to(wide).unsqueeze(1);
  // [T,N,2,P] for halves, [T,N,P,2] for neighbours.
  const int64_t pair_dim = rope.adjacent ? -1 : -2;
  const at::Tensor turning = x.narrow(-1, first_channel, 2 * p)
                                 .to(wide)
                                 .unflatten(-1, rope.adjacent ? at::IntArrayRef{p, 2} : at::IntArrayRef{2, p});
  const at::Tensor a = turning.select(pair_dim, 0), b = turning.select(pair_dim, 1);
  const at::Tensor turned = at::stack({a * cos - b * sin, b * cos + a * sin}, pair_dim).flatten(-2);
  return at::cat({x.narrow(-1, 0, first_channel), turned.to(x.scalar_type()), x.narrow(-1, end, x.size(-1) - end)}, -1);
}

Heads ref::split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope,
                       at::ScalarType out) {
  const int64_t tokens = qkv.size(0), per_group = qkv.size(1) / (groups * head_dim);
  const at::Tensor x = qkv.view({tokens, groups, per_group, head_dim});
  const at::Tensor q = x.narrow(2, 0, per_group - 2).reshape({tokens, groups * (per_group - 2), head_dim});
  return {ref::rotate(q, rope, false).to(out), ref::rotate(x.select(2, per_group - 2), rope, false).to(out),
          x.select(2, per_group - 1).to(out).contiguous()};
}

at::Tensor ref::merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out) {
  const int64_t tokens = grads.k_TGD.size(0), groups = grads.k_TGD.size(1), head_dim = grads.k_TGD.size(2);
  const at::Tensor q = ref::rotate(grads.q_TND, rope, true).reshape({tokens, groups, -1, head_dim});
  const at::Tensor k = ref::rotate(grads.k_TGD, rope, true).unsqueeze(2);
  return at::cat({q, k, grads.v_TGD.unsqueeze(2)}, 2).reshape({tokens, -1}).to(out);
}

RopeTable make_rope_table(const at::Tensor& positions_T, const at::Tensor& frequencies_P, double factor,
                          bool adjacent) {
  return positions_T.is_cpu() ? cpu::make_rope_table(positions_T, frequencies_P, factor, adjacent)
                              : ref::make_rope_table(positions_T, frequencies_P, factor, adjacent);
}

Heads split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope, at::ScalarType out) {
  check(rope, 0, head_dim);
  return fast(qkv) ? cpu::split_heads(qkv, groups, head_dim, rope, out)
                   : ref::split_heads(qkv, groups, head_dim, rope, out);
}

at::Tensor merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out) {
  return fast(grads.q_TND) ? cpu::merge_heads(grads, rope, out) : ref::merge_heads(grads, rope, out);
}

at::Tensor rotate(const at::Tensor& x, const RopeTable& rope, bool inverse, int64_t first_channel) {
  if (!rope.defined()) return x;
  check(rope, first_channel, x.size(-1));
  return fast(x) ? cpu::rotate(x, rope, inverse, first_channel) : ref::rotate(x, rope, inverse, first_channel);
}

}  // namespace rialto::kernels
