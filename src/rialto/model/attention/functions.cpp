// The Functions of attention: splitting heads, rotating them, and the softmax over keys.
#include "rialto/model/attention/functions.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/model/recompute.h"

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

kernels::Scoring scoring_of(const Scores& scores, int64_t heads) {
  kernels::Scoring scoring{
      .scale = scores.scale, .softcap = scores.softcap.value_or(0), .dropout = scores.dropout, .places = scores.places};
  if (scores.sinks) scoring.sinks_N = scores.sinks->data.detach().narrow(0, scores.first_sink, heads);
  return scoring;
}

at::Tensor sink_gradient(const Scores& scores, int64_t heads) {
  if (!scores.sinks || !scores.sinks->main_grad.defined()) return {};
  return scores.sinks->main_grad.narrow(0, scores.first_sink, heads);
}

void keep_attention(Tape& tape, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const kernels::AttentionOutput& out) {
  tape.keep(q, "attention.q");
  tape.keep(k, "attention.k");
  tape.keep(v, "attention.v");
  tape.keep(out.out_BSNV, "attention.out");
  tape.keep(out.lse_BNS, "attention.lse");
}

at::Tensor as_core(const Recorder& given, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                   const Core& core) {
  const Recorder recorder = given.in(Module::kCoreAttn);
  if (!recorder.recomputes(Module::kCoreAttn)) return core(recorder, {q, k, v});
  const Body body = [core](const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
    return {core(r, in)};
  };
  return recompute(recorder, {q, k, v}, body)[0];
}

namespace {

at::Tensor core_attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                          const at::Tensor& v_BKGV, const kernels::KeyRange& range, const Scores& scores) {
  Tape tape(recorder, {q_BSND, k_BKGD, v_BKGV, scores.sinks ? scores.sinks->data : at::Tensor()});
  const kernels::Scoring scoring = scoring_of(scores, q_BSND.size(2));
  const kernels::AttentionOutput out = kernels::attention_forward(q_BSND, k_BKGD, v_BKGV, range, scoring);
  const at::Tensor y = out.out_BSNV.view({q_BSND.size(0) * q_BSND.size(1), q_BSND.size(2) * v_BKGV.size(3)});
  const bool want_dsinks = tape.wants(3);
  keep_attention(tape, q_BSND, k_BKGD, v_BKGV, out);
  tape.record(
      {y},
      [recorder, range, scoring, want_dsinks, main_grad = sink_gradient(scores, q_BSND.size(2))](
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

}  // namespace

at::Tensor attention(const Recorder& recorder, const at::Tensor& q_BSND, const at::Tensor& k_BKGD,
                     const at::Tensor& v_BKGV, const kernels::KeyRange& range, const Scores& scores) {
  return as_core(recorder, q_BSND, k_BKGD, v_BKGV, [range, scores](const Recorder& r, const auto& in) {
    return core_attention(r, in[0], in[1], in[2], range, scores);
  });
}

at::Tensor sharded_norm(const Recorder& recorder, const at::Tensor& x, const Norm& norm, const comm::Mesh& mesh) {
  Tape tape(recorder, {x, norm.weight->data});
  const auto wide = kernels::wide_type(x);
  const double width = static_cast<double>(x.size(1)) * mesh.size(comm::Axis::kTp);
  const auto mean = [mesh, width](at::Tensor sum_T1) {
    comm::all_reduce_sum(sum_T1, mesh, comm::Axis::kTp);
    return sum_T1 / width;
  };
  const at::Tensor values = x.to(wide);
  const at::Tensor rstd_T1 = at::rsqrt(mean(values.square().sum(1, true)) + norm.spec.eps);
  const at::Tensor scale = norm.weight->data.to(wide) + (norm.spec.zero_centered ? 1 : 0);
  const at::Tensor y = (values * rstd_T1 * scale).to(x.scalar_type());
  const bool want_dw = tape.wants(1);
  tape.keep(x, "norm.sum");
  tape.keep(rstd_T1, "norm.rstd");
  tape.record(
      {y},
      [recorder, mean, want_dw, scale, wide, main_grad = norm.weight->main_grad](
          const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = douts[0].to(wide), normed = kept[0].to(wide) * kept[1], dnormed = dy * scale;
        if (want_dw)
          recorder.weight_gradient([main_grad, dw = (dy * normed).sum(0)] { main_grad.add_(dw.view_as(main_grad)); });
        const at::Tensor dx = (dnormed - normed * mean((dnormed * normed).sum(1, true))) * kept[1];
        return {dx.to(kept[0].scalar_type()), at::Tensor()};
      },
      "sharded_norm");
  return y;
}

at::Tensor full_width_norm(const Recorder& recorder, const at::Tensor& x, const Norm& norm, const comm::Mesh& mesh) {
  return mesh.size(comm::Axis::kTp) == 1 ? add_norm(recorder, x, {}, norm).y : sharded_norm(recorder, x, norm, mesh);
}

at::Tensor add_bias(const Recorder& recorder, const at::Tensor& x_TO, const Weight& bias) {
  Tape tape(recorder, {x_TO, bias.data});
  const at::Tensor y = at::add(x_TO, bias.data);
  const bool want_db = tape.wants(1);
  tape.record(
      {y},
      [recorder, want_db, db = bias.main_grad](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        if (want_db) recorder.weight_gradient([db, dy = douts[0]] { kernels::bias_grad(db, dy); });
        return {douts[0], at::Tensor()};
      },
      "add_bias");
  return y;
}

at::Tensor row_parallel(const Recorder& recorder, const at::Tensor& x_TI, const Linear& layer, const comm::Mesh& mesh) {
  if (!layer.bias || mesh.size(comm::Axis::kTp) == 1) return comm::out_of_tp(linear(recorder, x_TI, layer), mesh);
  Linear product = layer;
  product.bias = nullptr;
  return add_bias(recorder, comm::out_of_tp(linear(recorder, x_TI, product), mesh), *layer.bias);
}

}  // namespace rialto::model
