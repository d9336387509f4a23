// K-EXAONE: EXAONE 4.0's mix of layers with norms before instead of after, DeepSeek V3's experts, a dense block of
// multi-token prediction. Source: transformers configuration_exaone_moe.py, modeling_exaone_moe.py,
// conversion_mapping.py; of MTP tensors: the published files.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "32"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "2048"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"sliding_window", kWindow, "4096"},
    {"sliding_window_pattern", kWindowPattern, "4"},
    {"layer_types", kLayerTypes, "null"},
    {"hidden_act", kActivation, "\"silu\""},
    {"num_experts", kExperts, "64"},
    {"num_experts_per_tok", kTopK, "8"},
    {"moe_intermediate_size", kExpertHidden, "1024"},
    {"num_shared_experts", kSharedExperts, "1"},
    {"mlp_layer_types", kMlpTypes, "null"},
    {"is_moe_layer", kMlpTypes, "null"},
    {"first_k_dense_replace", kFirstDense, "1"},
    {"first_last_k_dense_replace", kKept},  // is_moe_layer says it per layer
    {"routed_scaling_factor", kRouteScale, "2.5"},
    {"n_group", kRouterGroups, "1"},
    {"topk_group", kTopGroups, "1"},
    {"norm_topk_prob", kRenormalize, "true"},
    {"scoring_func", kMustEqual, "\"sigmoid\""},
    {"topk_method", kMustEqual, "\"noaux_tc\""},
    {"swiglu_limits", kLayerClamps, "null"},
    {"sliding_windows", kWindowSizes, "null"},
    {"mtp_share_layers", kMustEqual, "null|false|true"},  // one block for all depths: the same where there is one depth
    {"mtp_num_speculative_steps", kMustEqual, "null|0|1"},
    {"mtp_layer_types", kMustEqual, "null|[\"full_attention\"]|[]"},
    {"mtp_sliding_windows", kMustEqual, "null|[0]|[]"},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "53"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kMtpConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

/// One block for all depths that the published files have: its ends have no number.
constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.mlp.e_score_correction_bias", "decoder.layers.{l}.mlp.router.expert_bias"},
    {"mtp.layers.{m}.", "mtp.layers.{m}.transformer_layer.", bridge::Op::kLayerPrefix},
    {"mtp.pre_fc_norm_embedding.weight", "mtp.layers.0.enorm.weight"},
    {"mtp.pre_fc_norm_hidden.weight", "mtp.layers.0.hnorm.weight"},
    {"mtp.fc.weight", "mtp.layers.0.eh_proj.weight"},
    {"mtp.norm.weight", "mtp.layers.0.final_layernorm.weight"},
};
constexpr auto kParams =
    join(kEndRows, kAttentionRows, kQkNormRows, kMlpRows, kMoeRows, kPackedMoeRows, kSharedExpertRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM"};

}  // namespace

extern const Family exaone_moe_family;
const Family exaone_moe_family = {
    .name = "exaone_moe",
    .title = "K-EXAONE",
    .architectures = kArchitectures,
    .model_type = "exaone_moe",
    .traits = {.qk_norm = true,
               .window_pattern = 4,
               .no_rope_without_window = true,
               .router = kSigmoidRouter,
               .mtp_dense = true,
               .mtp_one_block = true},
    .provider = "megatron.bridge.models.exaone.exaone_moe.exaone_moe_provider.ExaoneMoeModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
