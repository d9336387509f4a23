// The Functions of a layer other than linear and the loss.
#include "rialto/model/functions.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/embedding.h"
#include "rialto/kernels/rms_norm.h"
#include "rialto/kernels/swiglu.h"

namespace rialto::model {

NormOutput add_norm(const Recorder& recorder, const at::Tensor& x, const at::Tensor& delta, const Weight& weight,
                    double eps) {
  Tape tape(recorder, {x, delta, weight.data});
  kernels::RmsNormOutput out = kernels::rms_norm_forward(x.contiguous(), delta, weight.data, eps);
  // Without delta the sum is x: an alias of it, so that the residual's gradient takes the same way in both cases.
  const at::Tensor sum = delta.defined() ? out.sum : out.sum.detach();
  const bool want_dw = tape.wants(2), added = delta.defined();
  tape.keep(sum, "norm.sum");
  tape.keep(out.rstd, "norm.rstd");
  tape.record(
      {out.y, sum},
      [recorder, want_dw, added, w = weight.data, main_grad = weight.main_grad](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = douts[0].defined() ? douts[0] : at::zeros_like(kept[0]);
        const auto grads = kernels::rms_norm_backward(dy, douts[1], kept[0], kept[1], w, want_dw);
        if (want_dw)
          recorder.weight_gradient([main_grad, dw = grads.dweight] { main_grad.add_(dw.view_as(main_grad)); });
        return {grads.dx, added ? grads.dx : at::Tensor(), at::Tensor()};
      },
      "add_norm");
  return {sum, out.y};
}

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

at::Tensor swiglu(const Recorder& recorder, const at::Tensor& x) {
  Tape tape(recorder, {x});
  const at::Tensor y = kernels::swiglu_forward(x);
  tape.keep(x, "swiglu.input");
  tape.record(
      {y},
      [](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        return {kernels::swiglu_backward(douts[0], kept[0])};
      },
      "swiglu");
  return y;
}

at::Tensor embedding(const Recorder& recorder, const at::Tensor& tokens_T, const Weight& table) {
  Tape tape(recorder, {table.data});
  const at::Tensor y = kernels::embedding_forward(tokens_T, table.data);
  tape.keep(tokens_T, "embedding.tokens");
  tape.record(
      {y},
      [recorder, main_grad = table.main_grad](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        recorder.weight_gradient(
            [main_grad, dy = douts[0], ids = kept[0]] { kernels::embedding_grad(main_grad, ids, dy); });
        return {at::Tensor()};
      },
      "embedding");
  return y;
}

}  // namespace rialto::model
