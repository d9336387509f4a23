// Gemma 3 (text): five layers with a window and a RoPE base of their own, then one without; norms of queries and keys.
// Source: transformers configuration_gemma3.py (Gemma3TextConfig), modeling_gemma3.py.
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
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "true"},
    {"initializer_range", kInitStd, "0.02"},
    {"attention_bias", kMustEqual, "false"},
    {"use_bidirectional_attention", kMustEqual, "null|false"},
    {"bos_token_id", kBos, "2"},
    {"eos_token_id", kEos, "1"},
    {"rope_theta", kRopeTheta, "1000000.0"},
    {"rope_local_base_freq", kRopeLocalTheta, "10000.0"},
    {"hidden_activation", kActivation, "\"gelu_pytorch_tanh\""},
    {"query_pre_attn_scalar", kQueryScalar, "256"},
    {"sliding_window", kWindow, "4096"},
    {"layer_types", kLayerTypes, "null"},
    {"sliding_window_pattern", kWindowPattern, "6"},
    {"_sliding_window_pattern", kWindowPattern, "6"},
    {"final_logit_softcapping", kLogitSoftcap, "null"},
    {"attn_logit_softcapping", kAttentionSoftcap, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kQkNormRows, kSandwichRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Gemma3ForCausalLM"};

}  // namespace

extern const Family gemma3_family;
const Family gemma3_family = {
    .name = "gemma3",
    .title = "Gemma 3",
    .architectures = kArchitectures,
    .model_type = "gemma3_text",
    .traits = {.norm = {.zero_centered = true},
               .post_norms = true,
               .qk_norm = true,
               .window_pattern = 6,
               .scaled_embedding = true},
    .provider = "megatron.bridge.models.gemma.gemma3_provider.Gemma3ModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
