// DeepSeek V2 and V2-Lite: latent attention, softmax over experts whose groups are ranked by their best one. Source:
// transformers configuration_deepseek_v2.py, modeling_deepseek_v2.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"q_lora_rank", kQLoraRank, "1536"},
    {"intermediate_size", kFfnHidden, "11008"},
    {"max_position_embeddings", kMaxPositions, "2048"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"mlp_bias", kMustEqual, "false"},
    {"first_k_dense_replace", kFirstDense, "0"},
    {"topk_method", kTopKMethod, "\"greedy\""},
    {"n_group", kRouterGroups, "null"},
    {"topk_group", kTopGroups, "null"},
    {"norm_topk_prob", kMustEqual, "false"},
    {"scoring_func", kMustEqual, "\"softmax\""},
    {"routed_scaling_factor", kRouteScale, "1.0"},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "2"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kLatentConfig, kDeepseekMoeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kLatentRows, kMlpRows, kMoeRows, kPackedMoeRows, kSharedExpertRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"DeepseekV2ForCausalLM"};
constexpr std::string_view kProviderClasses[] = {"DeepSeekV2ModelProvider", "DeepSeekV2LiteModelProvider"};

}  // namespace

extern const Family deepseek_v2_family;
const Family deepseek_v2_family = {
    .name = "deepseek_v2",
    .title = "DeepSeek V2",
    .architectures = kArchitectures,
    .model_type = "deepseek_v2",
    .traits = {.latent = true,
               .pairing = spec::RopePairing::kAdjacent,
               .router = {.group_score = spec::GroupScore::kMax}},
    .provider = "megatron.bridge.models.mla_provider.MLAModelProvider",
    .provider_classes = kProviderClasses,
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
