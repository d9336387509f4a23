// Qwen 2 and 2.5: biases on query, key and value; windows on layers of a kind. Source: transformers
// configuration_qwen2.py, modeling_qwen2.py.
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;
using enum bridge::Op;
using bridge::When;

constexpr bridge::ConfigRow kConfig[] = {
    {"hidden_size", kHidden},
    {"num_hidden_layers", kLayers},
    {"num_attention_heads", kHeads},
    {"num_key_value_heads", kGroups, "32"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kFfnHidden},
    {"vocab_size", kVocab},
    {"max_position_embeddings", kMaxPositions, "32768"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"rope_scaling", kRopeScaling, "null"},
    {"rope_parameters", kRopeScaling, "null"},
    {"sliding_window", kWindow, "4096"},
    {"use_sliding_window", kUseWindow, "false"},
    {"max_window_layers", kMaxWindowLayers, "28"},
    {"layer_types", kLayerTypes, "null"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_dropout", kMustEqual, "0.0|0|null"},
    {"torch_dtype", kDtype, "\"float32\""},
    {"dtype", kDtype, "\"float32\""},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
static_assert(bridge::well_formed(kConfig));

constexpr bridge::ParamRow kParams[] = {
    {"model.embed_tokens.weight", "embedding.word_embeddings.weight"},
    {"model.layers.{l}.input_layernorm.weight", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_weight"},
    {"model.layers.{l}.self_attn.{q,k,v}_proj.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight", kQkv},
    {"model.layers.{l}.self_attn.{q,k,v}_proj.bias", "decoder.layers.{l}.self_attention.linear_qkv.bias", kQkv},
    {"model.layers.{l}.self_attn.o_proj.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight", kGateUp},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
    {"model.norm.weight", "decoder.final_layernorm.weight"},
    {"lm_head.weight", "output_layer.weight", kSame, When::kUntied},
    {"lm_head.weight", "embedding.word_embeddings.weight", kTiedHead, When::kTied},
};
static_assert(bridge::well_formed(kParams));

constexpr bridge::IgnoredRow kIgnored[] = {
    {"model.layers.{l}.self_attn.rotary_emb.inv_freq", "recomputed from rope_theta"},
    {"model.rotary_emb.inv_freq", "recomputed from rope_theta"},
};

constexpr std::string_view kArchitectures[] = {"Qwen2ForCausalLM"};

}  // namespace

extern const Family qwen2_family;
const Family qwen2_family = {
    .name = "qwen2",
    .title = "Qwen 2 / 2.5",
    .architectures = kArchitectures,
    .model_type = "qwen2",
    .config = kConfig,
    .params = kParams,
    .ignored = kIgnored,
};

}  // namespace rialto::families
