// Gemma 2: norms before and after, windows on every other layer, capped scores and logits. Source: transformers
// configuration_gemma2.py, modeling_gemma2.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "4"},
    {"head_dim", kHeadDim, "256"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "8192"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "true"},
    {"initializer_range", kInitStd, "0.02"},
    {"attention_bias", kMustEqual, "false"},
    {"use_bidirectional_attention", kMustEqual, "null|false"},
    {"bos_token_id", kBos, "2"},
    {"eos_token_id", kEos, "1"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_activation", kActivation, "\"gelu_pytorch_tanh\""},
    {"hidden_act", kKept},  // not read where hidden_activation is
    {"query_pre_attn_scalar", kQueryScalar, "256"},
    {"sliding_window", kWindow, "4096"},
    {"sliding_window_size", kWindow, "4096"},
    {"layer_types", kLayerTypes, "null"},
    {"final_logit_softcapping", kLogitSoftcap, "30.0"},
    {"attn_logit_softcapping", kAttentionSoftcap, "50.0"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kSandwichRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Gemma2ForCausalLM"};

}  // namespace

extern const Family gemma2_family;
const Family gemma2_family = {
    .name = "gemma2",
    .title = "Gemma 2",
    .architectures = kArchitectures,
    .model_type = "gemma2",
    .traits = {.norm = {.zero_centered = true}, .post_norms = true, .window_pattern = 2, .scaled_embedding = true},
    .provider = "megatron.bridge.models.gemma.gemma2_provider.Gemma2ModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
