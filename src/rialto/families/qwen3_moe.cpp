// Qwen 3 with experts. Source: transformers configuration_qwen3_moe.py, modeling_qwen3_moe.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "4"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden, "6144"},
    {"max_position_embeddings", kMaxPositions, "32768"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"sliding_window", kWindow, "4096"},
    {"use_sliding_window", kUseWindow, "false"},
    {"max_window_layers", kKept},  // every layer has the window, or none
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "false"},
    {"num_experts", kExperts, "128"},
    {"num_local_experts", kExperts, "128"},
    {"num_experts_per_tok", kTopK, "8"},
    {"moe_intermediate_size", kExpertHidden, "768"},
    {"decoder_sparse_step", kSparseStep, "1"},
    {"mlp_only_layers", kDenseLayers, "null"},
    {"norm_topk_prob", kRenormalize, "false"},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kQkNormRows, kMlpRows, kMoeRows, kPackedMoeRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Qwen3MoeForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"Qwen3MoEModelProvider"};

}  // namespace

extern const Family qwen3_moe_family;
const Family qwen3_moe_family = {
    .name = "qwen3_moe",
    .title = "Qwen 3 MoE",
    .architectures = kArchitectures,
    .model_type = "qwen3_moe",
    .traits = {.qk_norm = true},
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
