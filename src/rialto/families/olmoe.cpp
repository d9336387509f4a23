// OLMoE: norms over all query heads together and all key heads together. Source: transformers configuration_olmoe.py,
// modeling_olmoe.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"num_key_value_heads", kGroups, "null"},
    {"head_dim", kHeadDim, "null"},
    {"intermediate_size", kExpertHidden, "2048"},
    {"max_position_embeddings", kMaxPositions, "4096"},
    {"rms_norm_eps", kNormEps, "1e-5"},
    {"tie_word_embeddings", kTied, "false"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"hidden_act", kActivation, "\"silu\""},
    {"attention_bias", kMustEqual, "false"},
    {"clip_qkv", kMustEqual, "null"},
    {"num_experts", kExperts, "64"},
    {"num_local_experts", kExperts, "64"},
    {"num_experts_per_tok", kTopK, "8"},
    {"norm_topk_prob", kRenormalize, "false"},
    {"bos_token_id", kBos, "null"},
    {"eos_token_id", kEos, "50279"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kEndRows, kAttentionRows, kQkNormRows, kMoeRows, kPackedMoeRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"OlmoeForCausalLM"};

}  // namespace

extern const Family olmoe_family;
const Family olmoe_family = {
    .name = "olmoe",
    .title = "OLMoE",
    .architectures = kArchitectures,
    .model_type = "olmoe",
    .traits = {.qk_norm = true, .qk_norm_width = spec::QkNormWidth::kFull},
    .provider = "megatron.bridge.models.olmoe.olmoe_provider.OlMoEModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
