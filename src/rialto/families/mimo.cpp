// MiMo 7B: Qwen 2 with a block of multi-token prediction. Source: the published configuration_mimo.py and
// modeling_mimo.py.
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
    {"max_position_embeddings", kMaxPositions, "32768"},
    {"rms_norm_eps", kNormEps, "1e-6"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"sliding_window", kWindow, "4096"},
    {"use_sliding_window", kUseWindow, "false"},
    {"max_window_layers", kMaxWindowLayers, "28"},
    {"layer_types", kLayerTypes, "null"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "true"},  // of query, key and value
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "null"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kMtpConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

/// Its input projection takes the hidden state first, Megatron's the embedding.
constexpr bridge::ParamRow kMtpRows[] = {
    {"model.mtp_layers.{m}.", "mtp.layers.{m}.transformer_layer.", kLayerPrefix},
    {"model.mtp_layers.{m}.token_layernorm.weight", "mtp.layers.{m}.enorm.weight"},
    {"model.mtp_layers.{m}.hidden_layernorm.weight", "mtp.layers.{m}.hnorm.weight"},
    {"model.mtp_layers.{m}.input_proj.weight", "mtp.layers.{m}.eh_proj.weight", kSwapHalves},
    {"model.mtp_layers.{m}.final_layernorm.weight", "mtp.layers.{m}.final_layernorm.weight"},
};
constexpr auto kParams = join(kEndRows, kAttentionRows, kQkvBiasRows, kMlpRows, kMtpRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"MiMoForCausalLM"};

}  // namespace

extern const Family mimo_family;
const Family mimo_family = {
    .name = "mimo",
    .title = "MiMo",
    .architectures = kArchitectures,
    .model_type = "mimo",
    .traits = {.qkv_bias = true},
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
