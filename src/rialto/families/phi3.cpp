// Phi-3 and Phi-4: query, key and value in one tensor, gate and up in one; LongRoPE in the long models. Source:
// transformers configuration_phi3.py, modeling_phi3.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "null"},
    {"head_dim", kHeadDim, "null"},
    {"partial_rotary_factor", kPartialRotary, "1.0"},
    {"intermediate_size", kFfnHidden},
    {"max_position_embeddings", kMaxPositions, "4096"},
    {"original_max_position_embeddings", kOriginalPositions, "4096"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"sliding_window", kWindow, "null"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "false"},
    {"mlp_bias", kMustEqual, "false"},
    {"resid_pdrop", kMustEqual, "0.0|0"},
    {"embd_pdrop", kMustEqual, "0.0|0"},
    {"interpolate_factor", kMustEqual, "null|1|1.0"},
    {"lm_head_bias", kMustEqual, "false"},
    {"full_attn_mod", kKept},
    {"bos_token_id", kBos, "1"},
    {"eos_token_id", kEos, "32000"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.input_layernorm.weight", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_weight"},
    {"model.layers.{l}.self_attn.qkv_proj.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight",
     bridge::Op::kFusedQkv},
    {"model.layers.{l}.self_attn.o_proj.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.mlp.gate_up_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight"},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
};
constexpr auto kParams = join(kEndRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Phi3ForCausalLM"};

}  // namespace

extern const Family phi3_family;
const Family phi3_family = {
    .name = "phi3",
    .title = "Phi-3 / Phi-4",
    .architectures = kArchitectures,
    .model_type = "phi3",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
