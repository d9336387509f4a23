// MiniMax M2: norms over all heads together, part of each head turns, sigmoid over experts chosen with a bias. Source:
// transformers configuration_minimax_m2.py, modeling_minimax_m2.py; names of tensors in files: conversion_mapping.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "8"},
    {"head_dim", kHeadDim, "128"},
    {"rotary_dim", kRotaryDim, "null"},
    {"partial_rotary_factor", kPartialRotary, "1.0"},
    {"intermediate_size", kExpertHidden, "1536"},
    {"max_position_embeddings", kMaxPositions, "196608"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "5000000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "false"},
    {"sliding_window", kMustEqual, "null"},
    {"num_local_experts", kExperts, "256"},
    {"num_experts", kExperts, "256"},
    {"num_experts_per_tok", kTopK, "8"},
    {"scoring_func", kMustEqual, "\"sigmoid\""},
    {"use_routing_bias", kMustEqual, "true"},
    {"use_qk_norm", kMustEqual, "true"},
    {"qk_norm_type", kMustEqual, "\"per_layer\""},
    {"shared_intermediate_size", kMustEqual, "null|0"},
    {"attn_type_list", kKept},  // all ones: softmax attention in every layer
    {"use_mtp", kKept},         // the published files hold no block of it
    {"num_mtp_modules", kKept},
    {"mtp_transformer_layers", kKept},
    {"layernorm_full_attention_beta", kMustEqual, "null|1.0|1"},
    {"layernorm_linear_attention_beta", kMustEqual, "null|1.0|1"},
    {"layernorm_mlp_beta", kMustEqual, "null|1.0|1"},
    {"mlp_intermediate_size", kKept},  // of dense layers, which there are none of
    {"max_model_len", kKept},
    {"bos_token_id", kBos, "200034"},
    {"eos_token_id", kEos, "200020"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.block_sparse_moe.e_score_correction_bias", "decoder.layers.{l}.mlp.router.expert_bias"},
};
constexpr auto kParams = join(kEndRows, kAttentionRows, kQkNormRows, kMixtralMoeRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"MiniMaxM2ForCausalLM"};

}  // namespace

extern const Family minimax_m2_family;
const Family minimax_m2_family = {
    .name = "minimax_m2",
    .title = "MiniMax M2",
    .architectures = kArchitectures,
    .model_type = "minimax_m2",
    .traits = {.qk_norm = true,
               .qk_norm_width = spec::QkNormWidth::kFull,
               .router = {.score = spec::RouterScore::kSigmoid, .selection_bias = true, .renormalize = true}},
    .layer_spec = "megatron.bridge.models.minimax_m2.minimax_m2_provider.minimax_m2_layer_spec",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
