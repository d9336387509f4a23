// What a model is, as plain data: every layer's values spelled out. Nothing here knows of tensors, ranks or files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rialto/base/dtype.h"

namespace rialto::spec {

/// Frequencies divided by `factor` everywhere.
struct LinearScaling {
  double factor = 1;
  bool operator==(const LinearScaling&) const = default;
};
/// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a linear blend between.
/// Source: transformers modeling_rope_utils.py, _compute_llama3_parameters.
struct Llama3Scaling {
  double factor = 8, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 8192;
  bool operator==(const Llama3Scaling&) const = default;
};
using RopeScaling = std::variant<std::monostate, LinearScaling, Llama3Scaling>;

/// Rotary embedding over the first `dim` channels of each head, rotate-half pairing (channel i with i + dim/2).
struct Rope {
  double base = 10000;
  int64_t dim = 0;
  RopeScaling scaling = {};
  bool operator==(const Rope&) const = default;
};

struct Norm {  ///< RMSNorm: x / sqrt(mean(x^2) + eps) * weight
  double eps = 1e-5;
  bool operator==(const Norm&) const = default;
};

/// Grouped-query attention. `window` counts keys as transformers does: a query sees itself and the window-1 before it.
struct Attention {
  int64_t num_heads = 0, num_groups = 0, head_dim = 0;
  bool qkv_bias = false;
  std::optional<Norm> qk_norm = {};  ///< per head, before RoPE
  std::optional<int64_t> window = {};
  double softmax_scale = 0;       ///< usually head_dim^-0.5
  std::optional<Rope> rope = {};  ///< none: no position information
  bool operator==(const Attention&) const = default;
};

/// Multi-head latent attention (DeepSeek). Known to the parameter table; no model code yet.
struct LatentAttention {
  int64_t num_heads = 0;
  std::optional<int64_t> q_lora_rank = {};
  int64_t kv_lora_rank = 0, qk_nope_dim = 0, qk_rope_dim = 0, v_head_dim = 0;
  double softmax_scale = 0;
  std::optional<Rope> rope = {};
  bool operator==(const LatentAttention&) const = default;
};
using Mixer = std::variant<Attention, LatentAttention>;

enum class Activation { kSilu };

struct DenseFfn {
  int64_t hidden = 0;  ///< width of gate and of up
  Activation activation = Activation::kSilu;
  bool operator==(const DenseFfn&) const = default;
};

/// Mixture of experts. Known to the parameter table; no model code yet.
struct MoeFfn {
  int64_t num_experts = 0, expert_hidden = 0, top_k = 0, shared_hidden = 0;
  bool expert_bias = false;
  Activation activation = Activation::kSilu;
  bool operator==(const MoeFfn&) const = default;
};
using Ffn = std::variant<DenseFfn, MoeFfn>;

/// Pre-norm block: x += mixer(norm(x)); x += ffn(norm(x)).
struct Layer {
  Norm mixer_norm;
  Mixer mixer;
  Norm ffn_norm;
  Ffn ffn;
  bool operator==(const Layer&) const = default;
};

struct ModelSpec {
  std::string family = {};  ///< key of the family registry: "llama"
  int64_t hidden = 0;
  int64_t vocab = 0;  ///< true rows of the embedding
  int64_t max_positions = 0;
  bool tied = false;  ///< the head is the embedding
  std::vector<Layer> layers = {};
  Norm final_norm;
  double init_std = 0.02;       ///< residual projections: init_std / sqrt(2 * layers), as Megatron
  DType dtype = DType::kBF16;   ///< what weights are stored in
  bool per_layer_keys = false;  ///< Megatron's checkpoint keys carry the layer number (a list-valued moe_layer_freq)
                                ///< instead of a layer axis
  std::vector<int64_t> eos_token_ids = {};
  std::optional<int64_t> bos_token_id = {};
  bool operator==(const ModelSpec&) const = default;
};

}  // namespace rialto::spec
