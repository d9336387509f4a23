// Qwen 2 and 2.5: biases on query, key and value; windows on layers of a kind. Source: transformers
// configuration_qwen2.py, modeling_qwen2.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "32"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "32768"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"sliding_window", kWindow, "4096"},
    {"use_sliding_window", kUseWindow, "false"},
    {"max_window_layers", kMaxWindowLayers, "28"},
    {"layer_types", kLayerTypes, "null"},
    {"hidden_act", kActivation, "\"silu\""},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kQkvBiasRows, kMlpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Qwen2ForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"Qwen2ModelProvider", "Qwen25ModelProvider"};

}  // namespace

extern const Family qwen2_family;
const Family qwen2_family = {
    .name = "qwen2",
    .title = "Qwen 2 / 2.5",
    .architectures = kArchitectures,
    .model_type = "qwen2",
    .traits = {.qkv_bias = true},
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
