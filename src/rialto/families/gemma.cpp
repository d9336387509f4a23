// Gemma: norms stored as weight - 1, gated GELU, embeddings times the root of the hidden size. Source: transformers
// configuration_gemma.py, modeling_gemma.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "16"},
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
    {"hidden_act", kActivation, "\"gelu_pytorch_tanh\"|\"gelu\""},  // the first files say gelu and mean the tanh form
    {"hidden_activation", kMustEqual, "null|\"gelu_pytorch_tanh\"|\"gelu\""},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kMlpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"GemmaForCausalLM"};

}  // namespace

extern const Family gemma_family;
const Family gemma_family = {
    .name = "gemma",
    .title = "Gemma",
    .architectures = kArchitectures,
    .model_type = "gemma",
    .traits = {.norm = {.zero_centered = true}, .scaled_embedding = true},
    .provider = "megatron.bridge.models.gemma.gemma_provider.GemmaModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
