// GLM-4.7-Flash: latent attention and DeepSeek V3's experts in one group. Source: transformers
// configuration_glm4_moe_lite.py, modeling_glm4_moe_lite.py; of MTP tensors: the published files.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"q_lora_rank", kQLoraRank, "768"},
    {"intermediate_size", kFfnHidden, "10240"},
    {"max_position_embeddings", kMaxPositions, "202752"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"mlp_layer_types", kMlpTypes, "null"},
    {"first_k_dense_replace", kFirstDense, "1"},
    {"n_group", kRouterGroups, "1"},
    {"topk_group", kTopGroups, "1"},
    {"routed_scaling_factor", kRouteScale, "1.8"},
    {"bos_token_id", kBos, "0"},
    {"eos_token_id", kEos, "1"},
};
constexpr auto kConfig =
    join(kDecoderConfig, kRopeConfig, kLatentConfig, kDeepseekMoeConfig, kMtpConfig, kNoauxConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr std::string_view kArchitectures[] = {"Glm4MoeLiteForCausalLM"};

}  // namespace

extern const Family glm4_moe_lite_family;
const Family glm4_moe_lite_family = {
    .name = "glm4_moe_lite",
    .title = "GLM-4.7 Flash",
    .architectures = kArchitectures,
    .model_type = "glm4_moe_lite",
    .traits = {.latent = true, .pairing = spec::RopePairing::kAdjacent, .router = kSigmoidRouter},
    .provider = "megatron.bridge.models.mla_provider.MLAModelProvider",
    .config = kConfig,
    .params = kDeepseekV3Params,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
