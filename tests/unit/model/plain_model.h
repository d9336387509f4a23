// A decoder in plain recorded ATen operations, as the modeling files of transformers write it, to hold the model's
// Functions against.
#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <functional>
#include <map>

#include "rialto/model/model.h"

namespace rialto::model {

/// The decoder in plain recorded operations. Weights are looked up by name in `leaves`, which also collect gradients.
class PlainModel {
 public:
  PlainModel(const spec::ModelSpec& spec, const Weights& weights, at::ScalarType type = at::kDouble) : spec_(spec) {
    for (const Weight& w : weights.all())
      leaves_[w.param.name] = w.data.detach().to(type).clone().set_requires_grad(true);
  }
  at::Tensor hidden(const Batch& batch) const {
    at::Tensor x = drop(embed(batch), "embedding");
    for (size_t l = 0; l < spec_.layers.size(); ++l)
      x = layer(x, spec_.layers[l], "decoder.layers." + std::to_string(l) + ".", batch);
    return norm(x, "decoder.final_layernorm.weight", spec_.final_norm);
  }
  at::Tensor logits(const Batch& batch) const { return head(hidden(batch)); }
  at::Tensor loss(const Batch& batch) const { return token_losses(hidden(batch), batch); }

  /// What training minimises: process_mtp_loss and the router losses of Megatron-Core, on the scale of a loss sum.
  at::Tensor objective(const Batch& batch, const Objective& o) const {
    router_losses_ = at::zeros({}, at::kDouble);
    asked_ = o;
    at::Tensor normed = hidden(batch), sum = token_losses(normed, batch);
    for (size_t m = 0; m < spec_.mtp.size() && o.mtp_loss_scaling_factor != 0; ++m) {
      const Batch next = rolled(batch, static_cast<int64_t>(m) + 1);
      const std::string p = "mtp.layers." + std::to_string(m) + ".";
      const at::Tensor both = at::cat({norm(embed(next), p + "enorm.weight", spec_.mtp[m].embedding_norm),
                                       norm(normed, p + "hnorm.weight", spec_.mtp[m].hidden_norm)},
                                      -1);
      const at::Tensor x =
          layer(at::linear(both, leaf(p + "eh_proj.weight")), spec_.mtp[m].layer, p + "transformer_layer.", batch);
      normed = norm(x, p + "final_layernorm.weight", spec_.mtp[m].final_norm);
      sum = sum + token_losses(normed, next) * o.mtp_loss_scaling_factor / static_cast<double>(spec_.mtp.size());
    }
    asked_ = {};
    return sum + router_losses_ * batch.loss_weights_BS.to(at::kDouble).sum();
  }
  /// What becomes of a tensor at one place of the model: dropout.
  using Drop = std::function<at::Tensor(const at::Tensor& x, const std::string& place)>;
  void set_drop(Drop drop) { drop_ = std::move(drop); }
  const at::Tensor& leaf(const std::string& name) const { return leaves_.at(name); }
  const std::map<std::string, at::Tensor>& leaves() const { return leaves_; }

 private:
  at::Tensor drop(const at::Tensor& x, const std::string& place) const { return drop_ ? drop_(x, place) : x; }
  static Batch rolled(const Batch& batch, int64_t m) {
    Batch next = batch;
    for (at::Tensor* x : {&next.tokens_BS, &next.labels_BS, &next.loss_weights_BS}) {
      *x = at::roll(*x, -m, 1);
      x->narrow(1, x->size(1) - m, m).zero_();
      if (!batch.documents_BS.defined()) continue;
      const at::Tensor same = at::roll(batch.documents_BS, -m, 1) == batch.documents_BS;
      *x = at::where(same, *x, at::zeros_like(*x));
    }
    return next;
  }
  at::Tensor embed(const Batch& batch) const {
    return at::embedding(leaf("embedding.word_embeddings.weight"), batch.tokens_BS) * spec_.embedding_scale;
  }
  at::Tensor head(const at::Tensor& x) const {
    const at::Tensor y = at::linear(x, leaf(spec_.tied ? "embedding.word_embeddings.weight" : "output_layer.weight"));
    return spec_.logit_softcap ? at::tanh(y / *spec_.logit_softcap) * *spec_.logit_softcap : y;
  }
  at::Tensor token_losses(const at::Tensor& normed, const Batch& batch) const {
    const at::Tensor lp = at::log_softmax(head(normed), -1);
    return -(lp.gather(-1, batch.labels_BS.unsqueeze(-1)).squeeze(-1) * batch.loss_weights_BS.to(lp.scalar_type()))
                .sum();
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name, const spec::Norm& spec) const {
    const at::Tensor weight = spec.zero_centered ? leaf(name) + 1 : leaf(name);
    if (spec.kind == spec::NormKind::kRms) return x * at::rsqrt(x.square().mean(-1, true) + spec.eps) * weight;
    const std::string bias = name.substr(0, name.rfind("weight")) + "bias";
    return at::layer_norm(x, {x.size(-1)}, weight, spec.bias ? leaf(bias) : at::Tensor(), spec.eps);
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name, const std::optional<spec::Norm>& spec) const {
    return spec ? norm(x, name, *spec) : x;
  }
  static at::Tensor rope(const at::Tensor& x_BSND, const spec::Rope& rope, const at::Tensor& positions) {
    at::Tensor inverse =
        1.0 / at::pow(at::Scalar(rope.base), at::arange(0, rope.dim, 2, at::kDouble) / static_cast<double>(rope.dim));
    if (const auto* linear = std::get_if<spec::LinearScaling>(&rope.scaling)) inverse = inverse / linear->factor;
    const at::Tensor angles = (positions.unsqueeze(-1).to(at::kDouble) * inverse).unsqueeze(2);
    const at::Tensor a = x_BSND.narrow(-1, 0, rope.dim / 2), b = x_BSND.narrow(-1, rope.dim / 2, rope.dim / 2);
    const at::Tensor cos = angles.cos().to(x_BSND.scalar_type()), sin = angles.sin().to(x_BSND.scalar_type());
    return at::cat({a * cos - b * sin, b * cos + a * sin}, -1);
  }
  at::Tensor attention(const at::Tensor& n, const spec::Attention& a, const std::string& p, const Batch& batch) const {
    const int64_t rows = n.size(0), tokens = n.size(1), per_group = a.num_heads / a.num_groups;
    at::Tensor qkv = at::linear(n, leaf(p + "self_attention.linear_qkv.weight"));
    if (a.qkv_bias) qkv = qkv + leaf(p + "self_attention.linear_qkv.bias");
    qkv = qkv.view({rows, tokens, a.num_groups, per_group + 2, a.head_dim});
    at::Tensor q = qkv.narrow(3, 0, per_group).reshape({rows, tokens, a.num_heads, a.head_dim});
    at::Tensor k = qkv.select(3, per_group), v = qkv.select(3, per_group + 1);
    if (a.qk_norm) {
      q = norm(q, p + "self_attention.q_layernorm.weight", a.qk_norm);
      k = norm(k, p + "self_attention.k_layernorm.weight", a.qk_norm);
    }
    q = rope(q, *a.rope, batch.positions_BS);
    k = rope(k, *a.rope, batch.positions_BS).repeat_interleave(per_group, 2);
    v = v.repeat_interleave(per_group, 2);
    const at::Tensor i = at::arange(tokens).unsqueeze(1), j = at::arange(tokens).unsqueeze(0);
    at::Tensor seen = at::logical_and(j <= i, j > i - a.window.value_or(tokens)).unsqueeze(0);
    if (batch.documents_BS.defined()) {
      seen = at::logical_and(seen, batch.documents_BS.unsqueeze(2) == batch.documents_BS.unsqueeze(1));
    }
    at::Tensor scores = at::matmul(q.transpose(1, 2), k.transpose(1, 2).transpose(2, 3)) * a.softmax_scale;
    scores = scores.masked_fill(at::logical_not(seen).unsqueeze(1), -std::numeric_limits<double>::infinity());
    const at::Tensor mixed = at::matmul(drop(at::softmax(scores, -1), p + "core_attention"), v.transpose(1, 2))
                                 .transpose(1, 2)
                                 .reshape({rows, tokens, -1});
    return at::linear(mixed, leaf(p + "self_attention.linear_proj.weight"));
  }

  static at::Tensor act(spec::Activation activation, const at::Tensor& x) {
    switch (activation) {
      case spec::Activation::kSilu:
        return at::silu(x);
      case spec::Activation::kGeluTanh:
        return at::gelu(x, "tanh");
      case spec::Activation::kRelu2:
        return at::relu(x).square();
      case spec::Activation::kGptOss:
        return x * at::sigmoid(x * 1.702);
    }
    return {};
  }
  struct Mlp {
    spec::Activation activation;
    bool gated = true;
    std::optional<double> clamp = {};
    std::string number = {};  ///< of the expert
    bool bias = false;
  };
  at::Tensor mlp(const at::Tensor& x, const Mlp& o, const std::string& p) const {
    const auto product = [&](const at::Tensor& v, const std::string& name) {
      const at::Tensor y = at::linear(v, leaf(p + name + ".weight" + o.number));
      return o.bias ? y + leaf(p + name + ".bias" + o.number) : y;
    };
    const at::Tensor h = product(x, "linear_fc1");
    if (!o.gated) return product(act(o.activation, h), "linear_fc2");
    at::Tensor gate = h.chunk(2, -1)[0], up = h.chunk(2, -1)[1];
    if (o.clamp) gate = gate.clamp_max(*o.clamp), up = up.clamp(-*o.clamp, *o.clamp);
    if (o.activation == spec::Activation::kGptOss) up = up + 1;
    return product(act(o.activation, gate) * up, "linear_fc2");
  }

  /// Every expert sees every token; what was not chosen counts 0.
  at::Tensor experts(const at::Tensor& x, const spec::MoeFfn& moe, const std::string& p) const {
    const spec::Router& r = moe.router;
    at::Tensor logits = at::linear(x, leaf(p + "router.weight")).view({-1, moe.num_experts});
    if (r.linear_bias) logits = logits + leaf(p + "router.bias");
    const at::Tensor scores = r.score == spec::RouterScore::kSoftmax   ? at::softmax(logits, -1)
                              : r.score == spec::RouterScore::kSigmoid ? at::sigmoid(logits)
                                                                       : at::softplus(logits).sqrt();
    at::Tensor choice = r.softmax_after_top_k ? logits : scores;
    if (r.selection_bias) choice = choice + leaf(p + "router.expert_bias");
    const at::Tensor grouped = choice.view({-1, r.num_groups, moe.num_experts / r.num_groups});
    const at::Tensor group_scores = r.group_score == spec::GroupScore::kMax
                                        ? grouped.amax(-1)
                                        : std::get<0>(grouped.topk(std::min<int64_t>(2, grouped.size(2)))).sum(-1);
    const at::Tensor open = at::zeros_like(group_scores).scatter_(1, std::get<1>(group_scores.topk(r.top_groups)), 1);
    choice = grouped.masked_fill(open.unsqueeze(-1) == 0, -1e30).view(choice.sizes());
    const at::Tensor chosen = std::get<1>(choice.topk(r.top_k));
    at::Tensor weights = (r.softmax_after_top_k ? logits : scores).gather(1, chosen);
    if (r.softmax_after_top_k) weights = at::softmax(weights, -1);
    if (r.renormalize) weights = weights / (weights.sum(-1, true) + r.renormalize_eps);
    const at::Tensor dense = at::zeros_like(scores).scatter(1, chosen, weights * r.scale);
    add_router_losses(logits, scores, moe);
    at::Tensor sum = at::zeros_like(x);
    for (int64_t e = 0; e < moe.num_experts; ++e) {
      const Mlp expert{moe.activation, true, moe.clamp, std::to_string(e), moe.expert_bias};
      sum = sum + mlp(x, expert, p + "experts.") * dense.select(1, e).view({x.size(0), x.size(1), 1});
    }
    if (moe.shared_hidden == 0) return sum;
    at::Tensor shared = mlp(x, {moe.activation, true, moe.shared_clamp}, p + "shared_experts.");
    if (moe.shared_gate) shared = shared * at::sigmoid(at::linear(x, leaf(p + "shared_experts.gate_weight")));
    return sum + shared;
  }

  /// Megatron-Core moe_utils.py: switch_load_balancing_loss_func, z_loss_func, compute_routing_scores_for_aux_loss.
  void add_router_losses(const at::Tensor& logits, const at::Tensor& scores, const spec::MoeFfn& moe) const {
    if (!router_losses_.defined()) return;
    const double tokens = static_cast<double>(logits.size(0)), k = static_cast<double>(moe.router.top_k);
    const at::Tensor p = scores / (scores.sum(-1, true) + 1e-20);
    const at::Tensor map = at::zeros_like(p).scatter(1, std::get<1>(p.topk(moe.router.top_k)), 1);
    const double factor = static_cast<double>(moe.num_experts) * asked_.moe_aux_loss_coeff / (k * tokens * tokens);
    router_losses_ = router_losses_ + (p.sum(0) * map.sum(0)).sum() * factor +
                     at::logsumexp(logits, {-1}).square().mean() * asked_.moe_z_loss_coeff;
  }

  at::Tensor layer(const at::Tensor& x, const spec::Layer& spec, const std::string& p, const Batch& batch) const {
    const auto& a = std::get<spec::Attention>(spec.mixer);
    const at::Tensor mixed =
        attention(norm(x, p + "self_attention.linear_qkv.layer_norm_weight", spec.mixer_norm), a, p, batch);
    const at::Tensor mid =
        x + drop(norm(mixed, p + "self_attention.linear_proj.post_layernorm.weight", spec.mixer_post_norm),
                 p + "self_attention");
    at::Tensor out;
    if (const auto* dense = std::get_if<spec::DenseFfn>(&spec.ffn)) {
      const at::Tensor n = norm(mid, p + "mlp.linear_fc1.layer_norm_weight", spec.ffn_norm);
      out = mlp(n, {dense->activation, dense->gated, dense->clamp}, p + "mlp.");
    } else {
      out = experts(norm(mid, p + "pre_mlp_layernorm.weight", spec.ffn_norm), std::get<spec::MoeFfn>(spec.ffn),
                    p + "mlp.");
    }
    return mid + drop(norm(out, p + "mlp.linear_fc2.post_layernorm.weight", spec.ffn_post_norm), p + "mlp");
  }

  mutable at::Tensor router_losses_;  ///< undefined: not asked for
  mutable Objective asked_;
  Drop drop_;
  spec::ModelSpec spec_;
  std::map<std::string, at::Tensor> leaves_;
};

}  // namespace rialto::model
