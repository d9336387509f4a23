// ERNIE 4.5: neighbouring channels turn together; softmax over experts chosen with a bias, renormalized. Source:
// transformers configuration_ernie4_5_moe.py, modeling_ernie4_5_moe.py; of MTP tensors: the published files.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "4"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden, "12288"},
    {"max_position_embeddings", kMaxPositions, "131072"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "true"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "500000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"use_bias", kMustEqual, "false|null"},
    {"moe_intermediate_size", kExpertHidden, "1536"},
    {"moe_num_experts", kExperts, "64"},
    {"num_experts", kExperts, "64"},
    {"moe_k", kTopK, "6"},
    {"num_experts_per_tok", kTopK, "6"},
    {"moe_num_shared_experts", kSharedExperts, "2"},
    {"moe_layer_start_index", kFirstMoe, "1"},
    {"moe_layer_end_index", kLastMoe, "-1"},
    {"moe_layer_interval", kSparseStep, "1"},
    {"moe_norm_min", kMustEqual, "1e-12"},  // no sum of chosen scores is that small
    {"moe_gate", kMustEqual, "null|\"topk\"|\"top2\"|\"topk_fused\""},
    {"moe_gate_act", kMustEqual, "null|\"softmax\""},
    {"moe_use_aux_free", kMustEqual, "null|true"},
    {"moe_capacity", kKept},
    {"moe_multimodal_paired_experts", kKept},
    {"hidden_dropout_prob", kMustEqual, "null|0.0|0"},
    {"attention_probs_dropout_prob", kMustEqual, "null|0.0|0"},
    {"use_rmsnorm", kMustEqual, "null|true"},
    {"compression_ratio", kMustEqual, "null|1.0|1"},
    {"rope_3d", kMustEqual, "null|false"},
    {"freq_allocation", kKept},
    {"multi_token_pred_depth", kKept},  // transformers leaves these blocks aside, and so do the rows
    {"num_nextn_predict_layers", kKept},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "2"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.mlp.moe_statics.e_score_correction_bias", "decoder.layers.{l}.mlp.router.expert_bias",
     bridge::Op::kRowVector},
};
constexpr auto kParams =
    join(kEndRows, kAttentionRows, kMlpRows, kMoeRows, kPackedMoeRows, kSharedExpertRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kMtpReason = "multi-token prediction, which transformers leaves aside";
constexpr bridge::IgnoredRow kIgnored[] = {
    {"model.mtp_block.{l}.input_layernorm.weight", kMtpReason},
    {"model.mtp_block.{l}.post_attention_layernorm.weight", kMtpReason},
    {"model.mtp_block.{l}.self_attn.q_proj.weight", kMtpReason},
    {"model.mtp_block.{l}.self_attn.k_proj.weight", kMtpReason},
    {"model.mtp_block.{l}.self_attn.v_proj.weight", kMtpReason},
    {"model.mtp_block.{l}.self_attn.o_proj.weight", kMtpReason},
    {"model.mtp_block.{l}.mlp.gate_proj.weight", kMtpReason},
    {"model.mtp_block.{l}.mlp.up_proj.weight", kMtpReason},
    {"model.mtp_block.{l}.mlp.down_proj.weight", kMtpReason},
    {"model.mtp_emb_norm.{l}.weight", kMtpReason},
    {"model.mtp_hidden_norm.{l}.weight", kMtpReason},
    {"model.mtp_linear_proj.{l}.weight", kMtpReason},
};

constexpr std::string_view kArchitectures[] = {"Ernie4_5_MoeForCausalLM"};

}  // namespace

extern const Family ernie4_5_moe_family;
const Family ernie4_5_moe_family = {
    .name = "ernie4_5_moe",
    .title = "ERNIE 4.5 MoE",
    .architectures = kArchitectures,
    .model_type = "ernie4_5_moe",
    .traits = {.pairing = spec::RopePairing::kAdjacent, .router = {.selection_bias = true, .renormalize = true}},
    .config = kConfig,
    .params = kParams,
    .ignored = kIgnored,
};

}  // namespace rialto::families
