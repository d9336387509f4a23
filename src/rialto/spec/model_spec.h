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
/// YaRN: frequencies blended between kept and divided by `factor`, cosines and sines times an attention factor.
/// Source: transformers modeling_rope_utils.py, _compute_yarn_parameters.
struct YarnScaling {
  double factor = 1, beta_fast = 32, beta_slow = 1;
  int64_t original_max_positions = 4096;
  std::optional<double> attention_factor = {}, mscale = {}, mscale_all_dim = {};
  bool truncate = true;  ///< the correction range is rounded to whole channels
  bool operator==(const YarnScaling&) const = default;
};
/// What cosines and sines are multiplied by.
double attention_factor(const YarnScaling& scaling);
/// 1 for factor <= 1, else 0.1 mscale ln(factor) + 1.
double yarn_mscale(double factor, double mscale);

/// Phi-3's 128k models: one divisor per channel pair, of two lists: short up to the original length, long beyond.
/// Source: transformers modeling_rope_utils.py, _compute_longrope_parameters.
struct LongRopeScaling {
  std::vector<double> short_factors, long_factors;
  int64_t original_max_positions = 4096;
  double attention_factor = 1;
  bool operator==(const LongRopeScaling&) const = default;
};
using RopeScaling = std::variant<std::monostate, LinearScaling, Llama3Scaling, YarnScaling, LongRopeScaling>;

enum class RopePairing : uint8_t {
  kHalf,     ///< channel i turns with i + dim/2
  kAdjacent  ///< channel 2i turns with 2i + 1
};

/// Rotary embedding over the first `dim` channels of each head.
struct Rope {
  double base = 10000;
  int64_t dim = 0;
  RopeScaling scaling = {};
  RopePairing pairing = RopePairing::kHalf;
  bool operator==(const Rope&) const = default;
};

enum class NormKind : uint8_t {
  kRms,   ///< x / sqrt(mean(x^2) + eps) * weight
  kLayer  ///< (x - mean(x)) / sqrt(var(x) + eps) * weight + bias
};
struct Norm {
  double eps = 1e-5;
  NormKind kind = NormKind::kRms;
  bool zero_centered = false;  ///< stored as weight - 1, on both sides
  bool bias = false;
  bool operator==(const Norm&) const = default;
};

enum class QkNormWidth : uint8_t { kHead, kFull };  ///< of each head, or of all heads together

/// Grouped-query attention. `window` counts keys as transformers does: a query sees itself and the window-1 before it.
struct Attention {
  int64_t num_heads = 0, num_groups = 0, head_dim = 0;
  bool qkv_bias = false, out_bias = false;
  std::optional<Norm> qk_norm = {};  ///< before RoPE
  QkNormWidth qk_norm_width = QkNormWidth::kHead;
  std::optional<int64_t> window = {};
  double softmax_scale = 0;            ///< usually head_dim^-0.5
  std::optional<double> softcap = {};  ///< scores become cap * tanh(score / cap)
  bool sinks = false;                  ///< one learned logit per head joins the softmax and is then dropped
  std::optional<Rope> rope = {};       ///< none: no position information
  bool operator==(const Attention&) const = default;
};

/// Multi-head latent attention (DeepSeek): keys and values are projected up from one latent vector per token; a rotated
/// key part is shared by all heads.
struct LatentAttention {
  int64_t num_heads = 0;
  std::optional<int64_t> q_lora_rank = {};
  int64_t kv_lora_rank = 0, qk_nope_dim = 0, qk_rope_dim = 0, v_head_dim = 0;
  Norm latent_norm = {};  ///< of the query and key/value latents; transformers fixes its eps at 1e-6
  double softmax_scale = 0;
  std::optional<Rope> rope = {};
  bool operator==(const LatentAttention&) const = default;
};
using Mixer = std::variant<Attention, LatentAttention>;

enum class Activation : uint8_t {
  kSilu,
  kGeluTanh,  ///< the tanh approximation
  kRelu2,     ///< relu(x)^2
  kGptOss     ///< gate * sigmoid(1.702 gate) * (up + 1), gate clamped from above and up from both sides
};

struct DenseFfn {
  int64_t hidden = 0;  ///< width of gate and of up
  Activation activation = Activation::kSilu;
  bool gated = true;                 ///< act(gate) * up; else act(up)
  std::optional<double> clamp = {};  ///< limit of gate (above) and up (both sides) before the activation
  bool operator==(const DenseFfn&) const = default;
};

enum class RouterScore : uint8_t { kSoftmax, kSigmoid, kSqrtSoftplus };
enum class GroupScore : uint8_t { kMax, kSumOfBestTwo };

/// Chooses top_k experts per token: score, add the selection bias, keep the best groups, take the best, weigh.
struct Router {
  RouterScore score = RouterScore::kSoftmax;
  bool softmax_after_top_k = false;  ///< softmax over the chosen logits only
  bool selection_bias = false;       ///< a buffer added for choosing, never for weighing
  bool linear_bias = false;          ///< a trained bias of the router's product
  int64_t top_k = 0;
  int64_t num_groups = 1, top_groups = 1;  ///< of experts; only the best groups are considered
  GroupScore group_score = GroupScore::kSumOfBestTwo;
  bool renormalize = false;    ///< chosen weights divided by their sum
  double renormalize_eps = 0;  ///< added to that sum
  double scale = 1;            ///< of the weights, last
  bool operator==(const Router&) const = default;
};

struct MoeFfn {
  int64_t num_experts = 0, expert_hidden = 0;
  int64_t shared_hidden = 0;  ///< a dense block beside the experts; 0: none
  bool shared_gate = false;   ///< its output times sigmoid of a product with one row
  bool expert_bias = false;   ///< of both products of each expert
  Activation activation = Activation::kSilu;
  std::optional<double> clamp = {}, shared_clamp = {};
  Router router = {};
  bool operator==(const MoeFfn&) const = default;
};
using Ffn = std::variant<DenseFfn, MoeFfn>;

/// x += post(mixer(pre(x))); x += post(ffn(pre(x))). A norm that is not there changes nothing.
struct Layer {
  std::optional<Norm> mixer_norm = Norm{};
  Mixer mixer;
  std::optional<Norm> ffn_norm = Norm{};
  Ffn ffn;
  std::optional<Norm> mixer_post_norm = {}, ffn_post_norm = {};
  bool operator==(const Layer&) const = default;
};

/// One depth of multi-token prediction: layer(eh_proj([enorm(embedding of the next token); hnorm(hidden)])), a norm of
/// its own, then the model's head. Source: DeepSeek-V3 report 2.2; Megatron-Core multi_token_prediction.py.
struct MtpBlock {
  Norm embedding_norm, hidden_norm, final_norm;
  Layer layer;
  bool operator==(const MtpBlock&) const = default;
};

struct ModelSpec {
  std::string family = {};  ///< key of the family registry: "llama"
  int64_t hidden = 0;
  int64_t vocab = 0;  ///< true rows of the embedding
  int64_t max_positions = 0;
  bool tied = false;           ///< the head is the embedding
  double embedding_scale = 1;  ///< of the embedding's output
  std::vector<Layer> layers = {};
  std::vector<MtpBlock> mtp = {};
  Norm final_norm;
  std::optional<double> logit_softcap = {};  ///< logits become cap * tanh(logit / cap)
  double init_std = 0.02;                    ///< residual projections: init_std / sqrt(2 * layers), as Megatron
  DType dtype = DType::kBF16;                ///< what weights are stored in
  bool per_layer_keys = false;  ///< Megatron's checkpoint keys carry the layer number (a list-valued moe_layer_freq)
                                ///< instead of a layer axis
  std::vector<int64_t> eos_token_ids = {};
  std::optional<int64_t> bos_token_id = {};
  bool operator==(const ModelSpec&) const = default;
};

}  // namespace rialto::spec
