// Ling 2.0 and Ring 2.0: names of their own, norms of queries and keys, half of each head turns, DeepSeek V3's experts.
// Source: the published configuration_bailing_moe_v2.py and modeling_bailing_moe_v2.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "4"},
    {"head_dim", kHeadDim, "null"},
    {"partial_rotary_factor", kPartialRotary, "1.0"},
    {"rotary_dim", kRotaryDim, "null"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "32768"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "600000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"use_qkv_bias", kAttentionBias, "false"},
    {"use_bias", kMustEqual, "false"},
    {"use_qk_norm", kQkNorm, "true"},
    {"use_rmsnorm", kMustEqual, "true"},
    {"norm_head", kMustEqual, "false"},
    {"norm_softmax", kMustEqual, "false"},
    {"embedding_dropout", kMustEqual, "0.0|0"},
    {"output_dropout", kMustEqual, "0.0|0"},
    {"use_sliding_window", kMustEqual, "false"},
    {"sliding_window", kKept},
    {"max_window_layers", kKept},
    {"num_experts", kExperts},
    {"num_experts_per_tok", kTopK},
    {"num_shared_experts", kSharedExperts, "1"},
    {"moe_intermediate_size", kExpertHidden},
    {"moe_shared_expert_intermediate_size", kSharedHidden, "null"},
    {"first_k_dense_replace", kFirstDense, "1"},
    {"n_group", kRouterGroups, "8"},
    {"topk_group", kTopGroups, "4"},
    {"norm_topk_prob", kMustEqual, "true"},
    {"routed_scaling_factor", kRouteScale, "1.0"},
    {"score_function", kMustEqual, "\"sigmoid\""},
    {"scoring_func", kMustEqual, "\"sigmoid\""},
    {"moe_router_enable_expert_bias", kMustEqual, "true"},
    {"router_dtype", kKept},
    {"router_type", kKept},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "156892"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kMtpConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kBailingRows, kMlpRows, kMoeRows, kSharedExpertRows, kPlainMtpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"BailingMoeV2ForCausalLM"};

}  // namespace

extern const Family ling_family;
const Family ling_family = {
    .name = "ling",
    .title = "Ling 2.0",
    .architectures = kArchitectures,
    .model_type = "bailing_moe_v2",
    .traits = {.qk_norm = true,
               .router = {.score = spec::RouterScore::kSigmoid,
                          .selection_bias = true,
                          .renormalize = true,
                          .renormalize_eps = 1e-20}},
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
