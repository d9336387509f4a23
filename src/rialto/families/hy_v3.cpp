// Hunyuan 3 (HY3): norms of queries and keys, sigmoid over experts chosen with a bias, a shared one beside them.
// Source: transformers configuration_hy_v3.py, modeling_hy_v3.py; names of tensors in files: conversion_mapping.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;
using enum bridge::Op;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "8"},
    {"head_dim", kHeadDim, "128"},
    {"intermediate_size", kFfnHidden, "13312"},
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.006"},
    {"rope_theta", kRopeTheta, "11158840.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "false"},
    {"mlp_bias", kMustEqual, "false"},
    {"qk_norm", kMustEqual, "null|true"},
    {"num_experts", kExperts, "192"},
    {"num_local_experts", kExperts, "192"},
    {"num_experts_per_tok", kTopK, "8"},
    {"num_shared_experts", kSharedExperts, "1"},
    {"moe_intermediate_size", kExpertHidden, "1536"},
    {"expert_hidden_dim", kExpertHidden, "1536"},
    {"router_scaling_factor", kRouteScale, "2.826"},
    {"mlp_layer_types", kMlpTypes, "null"},
    {"first_k_dense_replace", kFirstDense, "1"},
    {"route_norm", kMustEqual, "null|true"},
    {"moe_router_use_sigmoid", kMustEqual, "null|true"},
    {"moe_router_enable_expert_bias", kMustEqual, "null|true"},
    {"enable_moe_fp32_combine", kKept},  // how sums are rounded
    {"enable_attention_fp32_softmax", kKept},
    {"enable_lm_head_fp32", kKept},
    {"use_grouped_mm", kKept},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kMtpConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.pre_mlp_layernorm.weight"},
    {"model.layers.{l}.mlp.router.gate.weight", "decoder.layers.{l}.mlp.router.weight"},
    {"model.layers.{l}.mlp.expert_bias", "decoder.layers.{l}.mlp.router.expert_bias"},
    {"model.layers.{l}.mlp.experts.{e}.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}",
     kGateUp},
    {"model.layers.{l}.mlp.experts.{e}.down_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}"},
    {"model.layers.{l}.mlp.shared_mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.shared_experts.linear_fc1.weight",
     kGateUp},
    {"model.layers.{l}.mlp.shared_mlp.down_proj.weight", "decoder.layers.{l}.mlp.shared_experts.linear_fc2.weight"},
};
constexpr auto kParams = join(kEndRows, kAttentionRows, kQkNormRows, kMlpRows, kOwnRows, kPackedMoeRows, kPlainMtpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"HYV3ForCausalLM"};

}  // namespace

extern const Family hy_v3_family;
const Family hy_v3_family = {
    .name = "hy_v3",
    .title = "Hunyuan 3",
    .architectures = kArchitectures,
    .model_type = "hy_v3",
    .traits = {.qk_norm = true, .router = kSigmoidRouter},
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
