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

at::Tensor rotate(const Recorder& recorder, const at::Tensor& x_TND, const kernels::RopeTable& rope,
                  int64_t first_channel) {
  if (!rope.defined()) return x_TND;
  Tape tape(recorder, {x_TND});
  const at::Tensor y = kernels::rotate(x_TND, rope, false, first_channel);
  tape.record(
      {y},
      [rope, first_channel](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        return {kernels::rotate(douts[0], rope, true, first_channel)};
      },
      "rotate");
  return y;
}

at::Tensor attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                     const at::Tensor& v_BKGV, const kernels::KeyRange& range, const Scores& scores) {
  const at::Tensor sinks = scores.sinks ? scores.sinks->data : at::Tensor();
  Tape tape(recorder, {q_BSND, k_BKGD, v_BKGV, sinks});
  const kernels::Scoring scoring{.scale = scores.scale,
                                 .softcap = scores.softcap.value_or(0),
                                 .sinks_N = sinks.defined() ? sinks.detach() : sinks};
  const kernels::AttentionOutput out = kernels::attention_forward(q_BSND, k_BKGD, v_BKGV, range, scoring);
  const at::Tensor y = out.out_BSNV.view({q_BSND.size(0) * q_BSND.size(1), q_BSND.size(2) * v_BKGV.size(3)});
  const bool want_dsinks = tape.wants(3);
  tape.keep(q_BSND, "attention.q");
  tape.keep(k_BKGD, "attention.k");
  tape.keep(v_BKGV, "attention.v");
  tape.keep(out.out_BSNV, "attention.out");
  tape.keep(out.lse_BNS, "attention.lse");
  tape.record(
      {y},
      [recorder, range, scoring, want_dsinks, main_grad = scores.sinks ? scores.sinks->main_grad : at::Tensor()](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const auto g = kernels::attention_backward(douts[0].view(kept[3].sizes()), kept[0], kept[1], kept[2],
                                                   {kept[3], kept[4]}, range, scoring);
        if (want_dsinks)
          recorder.weight_gradient([main_grad, dsinks = g.dsinks_N] { main_grad.add_(dsinks.view_as(main_grad)); });
        return {g.dq_BSND, g.dk_BKGD, g.dv_BKGV, at::Tensor()};
      },
      "attention");
  return y;
}

}  // namespace rialto::model
