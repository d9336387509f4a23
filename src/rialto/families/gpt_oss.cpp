// GPT-OSS: biases everywhere, a sink per head, windows on every other layer, softmax over the chosen experts, a clamped
// gated unit. Source: transformers configuration_gpt_oss.py, modeling_gpt_oss.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;
using bridge::When;
using enum bridge::Op;

constexpr std::string_view kYarn =
    R"({"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
        "original_max_position_embeddings": 4096})";

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "8"},
    {"head_dim", kHeadDim, "64"},
    {"intermediate_size", kExpertHidden, "2880"},
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "150000.0"},
    {"rope_scaling", kRopeScaling, kYarn},
    {"rope_parameters", kRopeScaling, kYarn},
    {"initial_context_length", kKept},  // said again in rope_scaling
    {"sliding_window", kWindow, "128"},
    {"layer_types", kLayerTypes, "null"},
    {"attention_bias", kAttentionBias, "true"},
    {"hidden_act", kActivation, "\"silu\""},
    {"num_local_experts", kExperts, "128"},
    {"num_experts", kExperts, "128"},
    {"num_experts_per_tok", kTopK, "4"},
    {"experts_per_token", kTopK, "4"},
    {"swiglu_limit", kClamp, "7.0"},
    {"swiglu_alpha", kMustEqual, "1.702"},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.self_attn.o_proj.bias", "decoder.layers.{l}.self_attention.linear_proj.bias"},
    {"model.layers.{l}.self_attn.sinks", "decoder.layers.{l}.self_attention.core_attention.softmax_offset"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.pre_mlp_layernorm.weight"},
    {"model.layers.{l}.mlp.router.weight", "decoder.layers.{l}.mlp.router.weight"},
    {"model.layers.{l}.mlp.router.bias", "decoder.layers.{l}.mlp.router.bias"},
    {"model.layers.{l}.mlp.experts.gate_up_proj", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}",
     kPackedReversed},
    {"model.layers.{l}.mlp.experts.gate_up_proj_blocks", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}",
     kPackedAlternating, When::kAlternative},
    {"model.layers.{l}.mlp.experts.gate_up_proj_bias", "decoder.layers.{l}.mlp.experts.linear_fc1.bias{e}",
     kPackedReversed},
    {"model.layers.{l}.mlp.experts.down_proj", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}", kPackedReversed},
    {"model.layers.{l}.mlp.experts.down_proj_blocks", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}", kPacked,
     When::kAlternative},
    {"model.layers.{l}.mlp.experts.down_proj_bias", "decoder.layers.{l}.mlp.experts.linear_fc2.bias{e}",
     kPackedReversed},
};
constexpr auto kParams = join(kEndRows, kAttentionRows, kQkvBiasRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"GptOssForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"GPTOSSProvider"};

}  // namespace

extern const Family gpt_oss_family;
const Family gpt_oss_family = {
    .name = "gpt_oss",
    .title = "GPT-OSS",
    .architectures = kArchitectures,
    .model_type = "gpt_oss",
    .traits = {.bias_of_output = true,
               .sinks = true,
               .window_pattern = 2,
               .clamped = true,
               .router = {.softmax_after_top_k = true, .linear_bias = true},
               .expert_bias = true},
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
