// Mistral: Llama with a sliding window over all layers. Source: transformers configuration_mistral.py,
// modeling_mistral.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "8"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"sliding_window", kWindow, "4096"},
    {"hidden_act", kActivation, "\"silu\""},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "2"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kMlpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"MistralForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"MistralModelProvider"};

}  // namespace

extern const Family mistral_family;
const Family mistral_family = {
    .name = "mistral",
    .title = "Mistral",
    .architectures = kArchitectures,
    .model_type = "mistral",
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
