// Qwen 3: RMSNorm of each query and key head before RoPE; head size apart from hidden size. Source: transformers
// configuration_qwen3.py, modeling_qwen3.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "32"},
    {"head_dim", kHeadDim, "128"},
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
    {"attention_bias", kMustEqual, "false"},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kQkNormRows, kMlpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Qwen3ForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"Qwen3ModelProvider"};

}  // namespace

extern const Family qwen3_family;
const Family qwen3_family = {
    .name = "qwen3",
    .title = "Qwen 3",
    .architectures = kArchitectures,
    .model_type = "qwen3",
    .traits = {.qk_norm = true},
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
