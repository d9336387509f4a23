// Mixtral: Mistral with experts in every layer, their weights always summing to one. Source: transformers
// configuration_mixtral.py, modeling_mixtral.py; names of tensors in files: conversion_mapping.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "8"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kExpertHidden, "14336"},
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "1000000.0"},
    {"sliding_window", kWindow, "null"},
    {"hidden_act", kActivation, "\"silu\""},
    {"num_local_experts", kExperts, "8"},
    {"num_experts", kExperts, "8"},
    {"num_experts_per_tok", kTopK, "2"},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "2"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kMixtralMoeRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"MixtralForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"MixtralModelProvider"};

}  // namespace

extern const Family mixtral_family;
const Family mixtral_family = {
    .name = "mixtral",
    .title = "Mixtral",
    .architectures = kArchitectures,
    .model_type = "mixtral",
    .traits = {.router = {.renormalize = true}},
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
