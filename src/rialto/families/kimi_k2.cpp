// Kimi K2: DeepSeek V3 with one group of experts. Source: the published modeling_deepseek.py and config.json.
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
    {"n_group", kRouterGroups, "1"},
    {"topk_group", kTopGroups, "1"},
    {"routed_scaling_factor", kRouteScale, "2.5"},
    {"bos_token_id", kBos, "0"},
    {"eos_token_id", kEos, "1"},
};
constexpr auto kConfig =
    join(kDecoderConfig, kRopeConfig, kLatentConfig, kDeepseekMoeConfig, kMtpConfig, kNoauxConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr std::string_view kArchitectures[] = {"KimiK2ForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"KimiK2Provider"};

}  // namespace

extern const Family kimi_k2_family;
const Family kimi_k2_family = {
    .name = "kimi_k2",
    .title = "Kimi K2",
    .architectures = kArchitectures,
    .model_type = "kimi_k2",
    .traits = {.latent = true, .pairing = spec::RopePairing::kAdjacent, .router = kSigmoidRouter},
    .provider = "megatron.bridge.models.mla_provider.MLAModelProvider",
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kDeepseekV3Params,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
