// Sarvam 105B: latent attention with queries projected at once, YaRN, DeepSeek V3's experts without groups. Source: the
// published configuration_sarvam_moe.py and modeling_sarvam_moe.py, which follow DeepSeek V3's.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"q_lora_rank", kQLoraRank, "null"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "4096"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.006"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"default_theta", kKept},
    {"hidden_act", kActivation, "\"silu\""},
    {"q_head_dim", kKept},   // derived
    {"use_qk_norm", kKept},  // latents are normalized
    {"embedding_dropout", kMustEqual, "0.0|0"},
    {"output_dropout", kMustEqual, "0.0|0"},
    {"num_experts", kExperts},
    {"num_experts_per_tok", kTopK},
    {"num_shared_experts", kSharedExperts, "1"},
    {"moe_intermediate_size", kExpertHidden},
    {"moe_shared_expert_intermediate_size", kSharedHidden, "null"},
    {"moe_layer_freq", kMustEqual, "1|null"},
    {"first_k_dense_replace", kFirstDense, "1"},
    {"n_group", kRouterGroups, "1"},
    {"topk_group", kTopGroups, "1"},
    {"norm_topk_prob", kMustEqual, "true"},
    {"routed_scaling_factor", kRouteScale, "2.5"},
    {"score_function", kMustEqual, "\"sigmoid\""},
    {"scoring_func", kMustEqual, "\"sigmoid\""},
    {"topk_method", kMustEqual, "\"noaux_tc\""},
    {"moe_router_enable_expert_bias", kMustEqual, "true"},
    {"router_dtype", kKept},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "1"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kLatentConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kLatentRows, kMlpRows, kMoeRows, kSharedExpertRows, kSelectionBiasRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"SarvamMLAForCausalLM"};

}  // namespace

extern const Family sarvam_mla_family;
const Family sarvam_mla_family = {
    .name = "sarvam_mla",
    .title = "Sarvam 105B",
    .architectures = kArchitectures,
    .model_type = "sarvam_mla",
    .traits = {.latent = true, .pairing = spec::RopePairing::kAdjacent, .router = kSigmoidRouter},
    .provider = "megatron.bridge.models.sarvam.sarvam_provider.SarvamMLAModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
