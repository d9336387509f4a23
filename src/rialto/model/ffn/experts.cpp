// The expert products and the ways to and from them.
#include "rialto/model/ffn/experts.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <fmt/format.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/model/ffn/exchange.h"
#include "rialto/model/recompute.h"

namespace rialto::model {

at::Tensor dispatch(const Recorder& recorder, const at::Tensor& x_TH, const kernels::ExpertOrder& order) {
  Tape tape(recorder, {x_TH});
  const at::Tensor rows = kernels::spread_rows(x_TH.contiguous(), order);
  tape.record(
      {rows},
      [order](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        return {kernels::combine_rows(douts[0].contiguous(), order)};
      },
      "dispatch");
  return rows;
}

at::Tensor combine(const Recorder& recorder, const at::Tensor& y_PH, const at::Tensor& weights_TK,
                   const kernels::ExpertOrder& order) {
  Tape tape(recorder, {y_PH, weights_TK});
  const at::Tensor out = kernels::combine_rows(y_PH, order, weights_TK);
  const bool want_dweights = tape.wants(1);
  tape.keep(want_dweights ? y_PH : at::Tensor(), "combine.rows");
  tape.keep(weights_TK, "combine.weights");
  tape.record(
      {out},
      [order, want_dweights](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor g = douts[0].contiguous();
        const at::Tensor dweights =
            want_dweights ? kernels::slot_dots(g, kept[0], order).to(kept[1].scalar_type()) : at::Tensor();
        return {kernels::spread_rows(g, order, kept[1]), dweights};
      },
      "combine");
  return out;
}

at::Tensor gate_rows(const Recorder& recorder, const at::Tensor& y_TH, const at::Tensor& gate_T1) {
  Tape tape(recorder, {y_TH, gate_T1});
  const auto wide = kernels::wide_type(y_TH);
  const at::Tensor out = (y_TH.to(wide) * at::sigmoid(gate_T1.to(wide))).to(y_TH.scalar_type());
  tape.keep(y_TH, "gate.rows");
  tape.keep(gate_T1, "gate.logits");
  tape.record(
      {out},
      [wide](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor g = douts[0].to(wide), s = at::sigmoid(kept[1].to(wide));
        const at::Tensor dgate = (g * kept[0].to(wide)).sum(-1, true) * s * (1 - s);
        return {(g * s).to(kept[0].scalar_type()), dgate.to(kept[1].scalar_type())};
      },
      "gate_rows");
  return out;
}

Experts::Experts(const spec::MoeFfn& spec, const Parts& parts)
    : mesh_(parts.mesh),
      activation_(make_activation(spec.activation, true, spec.clamp)),
      num_experts_(spec.num_experts) {
  const int64_t count = num_experts_ / mesh_.layout().ep;
  first_ = spec::expert_coords_of(mesh_.layout(), mesh_.coords()).ep * count;
  for (int64_t e = first_; e < first_ + count; ++e) {
    const auto product = [&](const char* name) {
      return parts.linear(fmt::format("mlp.experts.{}.weight{}", name, e),
                          spec.expert_bias ? fmt::format("mlp.experts.{}.bias{}", name, e) : "");
    };
    fc1_.push_back(product("linear_fc1"));
    fc2_.push_back(product("linear_fc2"));
  }
}

at::Tensor Experts::forward(const Recorder& recorder, const at::Tensor& x_TH, const Routes& routes) const {
  if (mesh_.size(comm::Axis::kExperts) == 1) return compute(recorder, x_TH, routes);
  if (mesh_.layout().dispatcher == spec::TokenDispatcher::kAllGather) {
    const GatheredTokens all(mesh_, x_TH, routes);
    return all.sum(compute(recorder, all.x(), all.routes()));
  }
  const kernels::ExpertOrder order = kernels::sort_by_expert(routes.experts_TK, num_experts_);
  const auto exchange = plan_exchange(mesh_, order.offsets, x_TH.device());
  const at::Tensor x_RH = rows_to_experts(recorder, dispatch(recorder, x_TH, order), exchange);
  const at::Tensor y_RH = products(recorder, x_RH, exchange->offsets);
  return combine(recorder, rows_from_experts(recorder, y_RH, exchange), routes.weights_TK, order);
}

at::Tensor Experts::compute(const Recorder& recorder, const at::Tensor& x_TH, const Routes& routes) const {
  const kernels::ExpertOrder order =
      kernels::sort_by_expert(routes.experts_TK, static_cast<int64_t>(fc1_.size()), first_);
  const at::Tensor y_PH = products(recorder, dispatch(recorder, x_TH, order), order.offsets);
  return combine(recorder, y_PH, routes.weights_TK, order);
}

at::Tensor Experts::products(const Recorder& recorder, const at::Tensor& x_PH,
                             const std::vector<int64_t>& offsets) const {
  const at::Tensor up = grouped_linear(recorder.in(Module::kExpertFc1), x_PH, offsets, fc1_);
  const Body act = [activation = activation_](const Recorder& r, const std::vector<at::Tensor>& in) {
    return std::vector{activate(r, in[0], activation)};
  };
  const Recomputed inner(recorder.in(Module::kMoeAct), Module::kMoeAct, {up}, act);
  return grouped_linear(inner.recorder().in(Module::kNone), inner.outputs()[0], offsets, fc2_);
}

}  // namespace rialto::model
