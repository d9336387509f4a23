// Toys of every kind of layer that recompute, offload and dropout know, and one step of each.
#pragma once

#include "variants.h"

namespace rialto::model {

/// Latent attention with compressed queries, dense block.
inline spec::ModelSpec latent() {
  spec::ModelSpec model = toy_spec({});
  for (spec::Layer& layer : model.layers) {
    layer.mixer = spec::LatentAttention{.num_heads = 4,
                                        .q_lora_rank = 24,
                                        .kv_lora_rank = 16,
                                        .qk_nope_dim = 8,
                                        .qk_rope_dim = 8,
                                        .v_head_dim = 12,
                                        .latent_norm = {.eps = 1e-6},
                                        .softmax_scale = 0.25,
                                        .rope = spec::Rope{.base = 10000, .dim = 8}};
  }
  return model;
}

inline spec::ModelSpec with_depth(spec::ModelSpec model) {
  model.mtp.push_back({.embedding_norm = {.eps = 1e-5},
                       .hidden_norm = {.eps = 1e-5},
                       .final_norm = {.eps = 1e-5},
                       .layer = model.layers.back()});
  return model;
}

/// Three layers and one depth of multi-token prediction.
inline spec::ModelSpec memory_toy(const std::string& name) {
  spec::ModelSpec model = name == "dense"    ? sandwich()
                          : name == "latent" ? latent()
                          : name == "shared" ? gated_shared()
                                             : grouped_experts();
  model.layers.push_back(model.layers.back());
  return with_depth(model);
}

struct StepResult {
  at::Tensor loss, extra, gradients;
  std::vector<RoutedTokens> routed;
};

inline StepResult run_step(const spec::ModelSpec& spec, const MemoryPlan& plan, const Recorder& recorder = {},
                           double dropout = 0.1, int64_t rows = 2) {
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  model.set_objective({.moe_aux_loss_coeff = 0.1, .moe_z_loss_coeff = 0.01, .mtp_loss_scaling_factor = 0.3});
  model.set_dropout(dropout, dropout, 99);
  model.set_memory(plan);
  model.set_recorder(recorder);
  Batch batch = toy_batch(spec, rows, 25);
  for (int64_t row = 0; row < rows; ++row) batch.sample_numbers.push_back(100 + row);
  const LossSum loss = model.forward_loss(batch);
  backward(loss, 0.01);
  return {loss.sum.detach(), loss.extra.detach(), weights.flat_grad().clone(), loss.routed};
}

}  // namespace rialto::model
