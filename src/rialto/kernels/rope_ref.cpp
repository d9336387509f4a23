// Head splitting and rotation in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/rope.h"

namespace rialto::kernels {
namespace {

bool fast(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

}  // namespace

at::Tensor ref::rotate(const at::Tensor& x, const RopeTable& rope, bool inverse) {
  if (!rope.defined()) return x;
  const auto wide = wide_type(x);
  const int64_t p = rope.cos_TP.size(1);
  const at::Tensor cos = rope.cos_TP.to(wide).unsqueeze(1);
  const at::Tensor sin = (inverse ? -rope.sin_TP : rope.sin_TP).to(wide).unsqueeze(1);
  const at::Tensor a = x.narrow(-1, 0, p).to(wide), b = x.narrow(-1, p, p).to(wide);
  std::vector<at::Tensor> parts = {(a * cos - b * sin).to(x.scalar_type()), (b * cos + a * sin).to(x.scalar_type())};
  if (2 * p < x.size(-1)) parts.push_back(x.narrow(-1, 2 * p, x.size(-1) - 2 * p));
  return at::cat(parts, -1);
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

Heads split_heads(const at::Tensor& qkv, int64_t groups, int64_t head_dim, const RopeTable& rope, at::ScalarType out) {
  return fast(qkv) ? cpu::split_heads(qkv, groups, head_dim, rope, out)
                   : ref::split_heads(qkv, groups, head_dim, rope, out);
}

at::Tensor merge_heads(const Heads& grads, const RopeTable& rope, at::ScalarType out) {
  return fast(grads.q_TND) ? cpu::merge_heads(grads, rope, out) : ref::merge_heads(grads, rope, out);
}

at::Tensor rotate(const at::Tensor& x, const RopeTable& rope, bool inverse) { return ref::rotate(x, rope, inverse); }

}  // namespace rialto::kernels
