// Small models of every kind, for tests of several rooms. Sizes expose mistakes: hidden != heads x head size.
#pragma once

#include "rialto/spec/param.h"

namespace rialto::test {

struct ToyOptions {
  std::string family = "llama";
  int64_t layers = 4, hidden = 24, heads = 4, groups = 2, head_dim = 8, ffn = 20, vocab = 50;
  bool tied = false, qkv_bias = false, qk_norm = false;
  DType dtype = DType::kBF16;
};

inline spec::ModelSpec toy_model(const ToyOptions& options = {}) {
  spec::ModelSpec model;
  model.family = options.family;
  model.hidden = options.hidden;
  model.vocab = options.vocab;
  model.max_positions = 64;
  model.tied = options.tied;
  model.dtype = options.dtype;
  for (int64_t i = 0; i < options.layers; ++i) {
    spec::Attention attention{.num_heads = options.heads, .num_groups = options.groups, .head_dim = options.head_dim};
    attention.qkv_bias = options.qkv_bias;
    if (options.qk_norm) attention.qk_norm = spec::Norm{};
    attention.softmax_scale = 0.35;
    attention.rope = spec::Rope{.dim = options.head_dim};
    model.layers.push_back({.mixer = attention, .ffn = spec::DenseFfn{options.ffn}});
  }
  return model;
}

/// Every layer MoE, as Qwen3-MoE.
inline spec::ModelSpec toy_moe(int64_t layers = 4, int64_t experts = 8) {
  spec::ModelSpec model = toy_model({.layers = layers, .qk_norm = true});
  for (spec::Layer& layer : model.layers)
    layer.ffn = spec::MoeFfn{.num_experts = experts, .expert_hidden = 12, .router = {.top_k = 2}};
  return model;
}

/// Latent attention, one dense layer, then MoE with a shared expert and a selection bias, as DeepSeek V3.
inline spec::ModelSpec toy_mla(int64_t layers = 4, int64_t experts = 8, bool q_lora = true) {
  spec::ModelSpec model = toy_model({.layers = layers});
  model.per_layer_keys = true;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    spec::LatentAttention mla{
        .num_heads = 4, .q_lora_rank = 10, .kv_lora_rank = 6, .qk_nope_dim = 8, .qk_rope_dim = 4, .v_head_dim = 8};
    if (!q_lora) mla.q_lora_rank.reset();
    model.layers[i].mixer = mla;
    if (i > 0)
      model.layers[i].ffn = spec::MoeFfn{.num_experts = experts,
                                         .expert_hidden = 12,
                                         .shared_hidden = 14,
                                         .router = {.selection_bias = true, .top_k = 2}};
  }
  return model;
}

inline const spec::Param* find_param(const std::vector<spec::Param>& params, std::string_view name) {
  for (const spec::Param& param : params)
    if (param.name == name) return &param;
  return nullptr;
}

}  // namespace rialto::test
