// Toys of what only some families have: norms around blocks, biases, sinks, expert biases, gates, prediction blocks.
#pragma once

#include "tests/unit/spec/toy_models.h"

namespace rialto::test {

/// Post norms around both blocks, none before them, as EXAONE 4; or both, zero-centred, as Gemma 2.
inline spec::ModelSpec toy_post_norms(bool sandwich = false) {
  spec::ModelSpec model = toy_model({.layers = 2, .qk_norm = true});
  const spec::Norm norm{.zero_centered = sandwich};
  model.final_norm = norm;
  for (spec::Layer& layer : model.layers) {
    layer.mixer_norm = layer.ffn_norm = sandwich ? std::optional(norm) : std::nullopt;
    layer.mixer_post_norm = layer.ffn_post_norm = norm;
  }
  return model;
}

/// LayerNorms with biases, zero-centred, and blocks without a gate, as Nemotron.
inline spec::ModelSpec toy_layer_norms() {
  spec::ModelSpec model = toy_model({.layers = 2});
  const spec::Norm norm{.kind = spec::NormKind::kLayer, .zero_centered = true, .bias = true};
  model.final_norm = norm;
  for (spec::Layer& layer : model.layers) {
    layer.mixer_norm = layer.ffn_norm = norm;
    layer.ffn = spec::DenseFfn{.hidden = 20, .activation = spec::Activation::kRelu2, .gated = false};
  }
  return model;
}

/// Biases everywhere, sinks, packed experts, as GPT-OSS.
inline spec::ModelSpec toy_sinks(int64_t layers = 2, int64_t experts = 4) {
  spec::ModelSpec model = toy_model({.layers = layers, .qkv_bias = true});
  for (spec::Layer& layer : model.layers) {
    std::get<spec::Attention>(layer.mixer).out_bias = true;
    std::get<spec::Attention>(layer.mixer).sinks = true;
    layer.ffn = spec::MoeFfn{
        .num_experts = experts, .expert_hidden = 12, .expert_bias = true, .router = {.linear_bias = true, .top_k = 2}};
  }
  return model;
}

/// Norms over all heads together, as OLMoE; a gated shared expert, as Qwen2-MoE.
inline spec::ModelSpec toy_full_width() {
  spec::ModelSpec model = toy_moe(2, 4);
  for (spec::Layer& layer : model.layers) {
    std::get<spec::Attention>(layer.mixer).qk_norm_width = spec::QkNormWidth::kFull;
    auto& moe = std::get<spec::MoeFfn>(layer.ffn);
    moe.shared_hidden = 14;
    moe.shared_gate = true;
  }
  return model;
}

/// `depths` blocks behind the model, each with the model's last layer.
inline spec::ModelSpec with_mtp(spec::ModelSpec model, int64_t depths = 2) {
  for (int64_t depth = 0; depth < depths; ++depth) model.mtp.push_back({{}, {}, {}, model.layers.back()});
  return model;
}

}  // namespace rialto::test
