// Llama 2 and 3.x. Source of keys and defaults: transformers configuration_llama.py; of tensors: modeling_llama.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "null"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "2048"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "false"},
    {"mlp_bias", kMustEqual, "false"},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "2"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kMlpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"LlamaForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"LlamaModelProvider", "Llama2ModelProvider", "Llama3ModelProvider",
                                                 "Llama31ModelProvider", "Llama32ModelProvider"};

}  // namespace

extern const Family llama_family;
const Family llama_family = {
    .name = "llama",
    .title = "Llama 2 / 3.x",
    .architectures = kArchitectures,
    .model_type = "llama",
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
