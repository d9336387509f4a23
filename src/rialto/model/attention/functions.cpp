// The Functions of attention: splitting heads, rotating them, and the softmax over keys.
#include "rialto/model/attention/functions.h"

#include <ATen/Functions.h>

namespace rialto::model {

kernels::Heads split_heads(const Recorder& recorder, const at::Tensor& qkv, int64_t groups, int64_t head_dim,
                           const kernels::RopeTable& rope) {
  Tape tape(recorder, {qkv});
  kernels::Heads heads = kernels::split_heads(qkv, groups, head_dim, rope, qkv.scalar_type());
  // Angles are one small table a pass for all layers, so they are captured and not kept.
  tape.record(
      {heads.q_TND, heads.k_TGD, heads.v_TGD},
      [rope, q = heads.q_TND.sizes().vec(), k = heads.k_TGD.sizes().vec(), options = qkv.options()](
          const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        const auto or_zeros = [&](const at::Tensor& g, const std::vector<int64_t>& shape) {
          return g.defined() ? g : at::zeros(shape, options);
        };
        const kernels::Heads grads{or_zeros(douts[0], q), or_zeros(douts[1], k), or_zeros(douts[2], k)};
        return {kernels::merge_heads(grads, rope, options.dtype().toScalarType())};
      },
      "split_heads");
  return heads;
}

at::Tensor rotate(const Recorder& recorder, const at::Tensor& x_TND, const kernels::RopeTable& rope) {
  if (!rope.defined()) return x_TND;
  Tape tape(recorder, {x_TND});
  const at::Tensor y = kernels::rotate(x_TND, rope, false);
  tape.record(
      {y},
      [rope](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        return {kernels::rotate(douts[0], rope, true)};
      },
      "rotate");
  return y;
}

at::Tensor attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                     const at::Tensor& v_BKGD, const kernels::KeyRange& range, double scale) {
  Tape tape(recorder, {q_BSND, k_BKGD, v_BKGD});
  const kernels::AttentionOutput out = kernels::attention_forward(q_BSND, k_BKGD, v_BKGD, range, scale);
  const at::Tensor y = out.out_BSND.view({q_BSND.size(0) * q_BSND.size(1), q_BSND.size(2) * q_BSND.size(3)});
  tape.keep(q_BSND, "attention.q");
  tape.keep(k_BKGD, "attention.k");
  tape.keep(v_BKGD, "attention.v");
  tape.keep(out.out_BSND, "attention.out");
  tape.keep(out.lse_BNS, "attention.lse");
  tape.record(
      {y},
      [range, scale](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const auto g = kernels::attention_backward(douts[0].view(kept[0].sizes()), kept[0], kept[1], kept[2],
                                                   {kept[3], kept[4]}, range, scale);
        return {g.dq_BSND, g.dk_BKGD, g.dv_BKGD};
      },
      "attention");
  return y;
}

}  // namespace rialto::model
