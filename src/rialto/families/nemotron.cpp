// Nemotron 4: LayerNorm with its weight stored as weight - 1 and a bias, squared ReLU without a gate, half of each head
// turns. Source: transformers configuration_nemotron.py, modeling_nemotron.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "null"},
    {"head_dim", kHeadDim, "null"},
    {"kv_channels", kHeadDim, "null"},
    {"partial_rotary_factor", kPartialRotary, "0.5"},
    {"rope_percent", kPartialRotary, "0.5"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "4096"},
    {"norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.0134"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"relu2\""},
    {"attention_bias", kMustEqual, "false"},
    {"mlp_bias", kMustEqual, "false"},
    {"bos_token_id", kBos, "2"},
    {"eos_token_id", kEos, "3"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.input_layernorm.bias", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_bias"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.post_attention_layernorm.bias", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_bias"},
    {"model.layers.{l}.mlp.up_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight"},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
    {"model.norm.bias", "decoder.final_layernorm.bias"},
};
constexpr auto kParams = join(kEndRows, kAttentionRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"NemotronForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"NemotronModelProvider", "Nemotron4ModelProvider"};

}  // namespace

extern const Family nemotron_family;
const Family nemotron_family = {
    .name = "nemotron",
    .title = "Nemotron 4",
    .architectures = kArchitectures,
    .model_type = "nemotron",
    .traits = {.norm = {.kind = spec::NormKind::kLayer, .zero_centered = true, .bias = true}, .gated = false},
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
