// GLM-4.5 to 4.7: half of each head turns, biases on query, key and value, DeepSeek V3's experts. Source: transformers
// configuration_glm4_moe.py, modeling_glm4_moe.py; of MTP tensors: the published files.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "8"},
    {"head_dim", kHeadDim, "null"},
    {"partial_rotary_factor", kPartialRotary, "0.5"},
    {"intermediate_size", kFfnHidden, "10944"},
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kAttentionBias, "false"},
    {"use_qk_norm", kQkNorm, "false"},
    {"first_k_dense_replace", kFirstDense, "1"},
    {"topk_method", kMustEqual, "\"noaux_tc\""},
    {"scoring_func", kMustEqual, "\"sigmoid\""},
    {"n_group", kRouterGroups, "1"},
    {"topk_group", kTopGroups, "1"},
    {"norm_topk_prob", kRenormalize, "true"},
    {"routed_scaling_factor", kRouteScale, "1.0"},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kDeepseekMoeConfig, kMtpConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kQkvBiasRows, kQkNormRows, kMlpRows, kMoeRows, kPackedMoeRows,
                              kSharedExpertRows, kSelectionBiasRows, kDeepseekMtpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Glm4MoeForCausalLM"};

}  // namespace

extern const Family glm4_moe_family;
const Family glm4_moe_family = {
    .name = "glm4_moe",
    .title = "GLM-4.5 / 4.6 / 4.7",
    .architectures = kArchitectures,
    .model_type = "glm4_moe",
    .traits = {.router = kSigmoidRouter},
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
