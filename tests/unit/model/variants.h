// Toy models of the kinds that Llama does not have.
#pragma once

#include "toy.h"

namespace rialto::model {

/// Gemma 2: zero-centred norms before and after, GELU, scaled embedding, capped logits, tied.
inline spec::ModelSpec sandwich() {
  spec::ModelSpec model = toy_spec({.tied = true});
  const spec::Norm norm{.eps = 1e-6, .zero_centered = true};
  for (spec::Layer& layer : model.layers) {
    layer.mixer_norm = layer.ffn_norm = layer.mixer_post_norm = layer.ffn_post_norm = norm;
    std::get<spec::DenseFfn>(layer.ffn).activation = spec::Activation::kGeluTanh;
  }
  model.final_norm = norm;
  model.embedding_scale = std::sqrt(static_cast<double>(model.hidden));
  model.logit_softcap = 2;
  return model;
}

/// EXAONE 4: norms behind attention and the block, none before.
inline spec::ModelSpec post_norms_only() {
  spec::ModelSpec model = toy_spec({});
  for (spec::Layer& layer : model.layers) {
    layer.mixer_post_norm = layer.mixer_norm;
    layer.ffn_post_norm = layer.ffn_norm;
    layer.mixer_norm.reset();
    layer.ffn_norm.reset();
  }
  return model;
}

/// Nemotron: LayerNorm around 1 with bias, squared ReLU without gate.
inline spec::ModelSpec layer_norm() {
  spec::ModelSpec model = toy_spec({});
  const spec::Norm norm{.eps = 1e-5, .kind = spec::NormKind::kLayer, .zero_centered = true, .bias = true};
  for (spec::Layer& layer : model.layers) {
    layer.mixer_norm = layer.ffn_norm = norm;
    layer.ffn = spec::DenseFfn{.hidden = 40, .activation = spec::Activation::kRelu2, .gated = false};
  }
  model.final_norm = norm;
  return model;
}

inline spec::ModelSpec clamped() {
  spec::ModelSpec model = toy_spec({});
  for (spec::Layer& layer : model.layers) std::get<spec::DenseFfn>(layer.ffn).clamp = 0.8;
  return model;
}

/// Every layer but the first `dense` has experts.
inline spec::ModelSpec with_experts(const spec::MoeFfn& moe, size_t dense = 0) {
  spec::ModelSpec model = toy_spec({});
  for (size_t l = dense; l < model.layers.size(); ++l) model.layers[l].ffn = moe;
  return model;
}

/// Qwen3-MoE.
inline spec::ModelSpec softmax_experts() {
  return with_experts({.num_experts = 6, .expert_hidden = 20, .router = {.top_k = 2, .renormalize = true}});
}

/// DeepSeek V3: sigmoid, bias, groups, scale, shared experts, a dense layer first.
inline spec::ModelSpec grouped_experts() {
  return with_experts({.num_experts = 8,
                       .expert_hidden = 20,
                       .shared_hidden = 24,
                       .router = {.score = spec::RouterScore::kSigmoid,
                                  .selection_bias = true,
                                  .top_k = 3,
                                  .num_groups = 4,
                                  .top_groups = 2,
                                  .renormalize = true,
                                  .renormalize_eps = 1e-20,
                                  .scale = 2.5}},
                      1);
}

/// Qwen2-MoE: a shared expert behind a sigmoid gate, weights not renormalised; groups by their maximum.
inline spec::ModelSpec gated_shared() {
  return with_experts(
      {.num_experts = 6,
       .expert_hidden = 20,
       .shared_hidden = 24,
       .shared_gate = true,
       .router = {.top_k = 2, .num_groups = 3, .top_groups = 2, .group_score = spec::GroupScore::kMax}});
}

/// GPT-OSS: biases everywhere, its own activation, softmax over the chosen logits.
inline spec::ModelSpec biased_experts() {
  return with_experts({.num_experts = 5,
                       .expert_hidden = 20,
                       .expert_bias = true,
                       .activation = spec::Activation::kGptOss,
                       .clamp = 0.7,
                       .router = {.softmax_after_top_k = true, .linear_bias = true, .top_k = 2}});
}

inline spec::ModelSpec sqrt_softplus_experts() {
  return with_experts({.num_experts = 6,
                       .expert_hidden = 20,
                       .shared_hidden = 12,
                       .clamp = 0.5,
                       .shared_clamp = 0.4,
                       .router = {.score = spec::RouterScore::kSqrtSoftplus,
                                  .selection_bias = true,
                                  .top_k = 2,
                                  .renormalize = true,
                                  .renormalize_eps = 1e-20,
                                  .scale = 1.5}});
}

}  // namespace rialto::model
