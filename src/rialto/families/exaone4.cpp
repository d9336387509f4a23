// EXAONE 4.0: norms only after attention and feed-forward, norms of queries and keys; in the 32B, three layers with a
// window, then one that sees everything and knows no positions. Source: transformers configuration_exaone4.py,
// modeling_exaone4.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;
using enum bridge::Op;

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
    {"attention_bias", kMustEqual, "false"},
    {"layer_norm_epsilon", kKept},  // not read; rms_norm_eps is
    {"bos_token_id", kBos, "0"},
    {"eos_token_id", kEos, "2"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr bridge::ParamRow kOwnRows[] = {
    {"model.layers.{l}.self_attn.{q,k,v}_proj.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight", kQkv},
    {"model.layers.{l}.self_attn.o_proj.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"model.layers.{l}.post_attention_layernorm.weight",
     "decoder.layers.{l}.self_attention.linear_proj.post_layernorm.weight"},
    {"model.layers.{l}.mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight", kGateUp},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
    {"model.layers.{l}.post_feedforward_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc2.post_layernorm.weight"},
};
constexpr auto kParams = join(kEndRows, kQkNormRows, kOwnRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"Exaone4ForCausalLM"};

}  // namespace

extern const Family exaone4_family;
const Family exaone4_family = {
    .name = "exaone4",
    .title = "EXAONE 4.0",
    .architectures = kArchitectures,
    .model_type = "exaone4",
    .traits =
        {.pre_norms = false, .post_norms = true, .qk_norm = true, .window_pattern = 4, .no_rope_without_window = true},
    .layer_spec = "megatron.bridge.models.exaone.exaone4.exaone4_provider.exaone4_layer_spec",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
