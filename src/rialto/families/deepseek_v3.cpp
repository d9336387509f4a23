// DeepSeek V3 and R1, and Moonlight: latent attention, sigmoid over experts chosen with a bias, multi-token prediction.
// Source: transformers configuration_deepseek_v3.py, modeling_deepseek_v3.py; of MTP tensors: the published files.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"q_lora_rank", kQLoraRank, "1536"},
    {"intermediate_size", kFfnHidden, "18432"},
    {"max_position_embeddings", kMaxPositions, "4096"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"first_k_dense_replace", kFirstDense, "3"},
    {"n_group", kRouterGroups, "8"},
    {"topk_group", kTopGroups, "4"},
    {"routed_scaling_factor", kRouteScale, "2.5"},
    {"bos_token_id", kBos, "0"},
    {"eos_token_id", kEos, "1"},
};
constexpr auto kConfig =
    join(kDecoderConfig, kRopeConfig, kLatentConfig, kDeepseekMoeConfig, kMtpConfig, kNoauxConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr std::string_view kArchitectures[] = {"DeepseekV3ForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"DeepSeekV3ModelProvider", "MoonlightModelProvider"};

}  // namespace

extern const Family deepseek_v3_family;
const Family deepseek_v3_family = {
    .name = "deepseek_v3",
    .title = "DeepSeek V3 / R1, Moonlight",
    .architectures = kArchitectures,
    .model_type = "deepseek_v3",
    .traits = {.latent = true, .pairing = spec::RopePairing::kAdjacent, .router = kSigmoidRouter},
    .provider = "megatron.bridge.models.mla_provider.MLAModelProvider",
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kDeepseekV3Params,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
