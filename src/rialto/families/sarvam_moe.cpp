// Sarvam 30B: Ling's names and blocks without groups of experts. Source: the published configuration_sarvam_moe.py and
// modeling_sarvam_moe.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"max_position_embeddings", kMaxPositions, "4096"},
    {"initializer_range", kInitStd, "0.006"},
    {"rope_theta", kRopeTheta, "10000.0"},
    {"n_group", kRouterGroups, "1"},
    {"topk_group", kTopGroups, "1"},
    {"routed_scaling_factor", kRouteScale, "2.5"},
    {"eos_token_id", kEos, "1"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kBailingConfig, kOwnConfig);
static_assert(bridge::flaw_of(kConfig).empty());

constexpr auto kParams = join(kBailingRows, kMlpRows, kMoeRows, kSharedExpertRows);
static_assert(bridge::flaw_of(kParams).empty());

constexpr std::string_view kArchitectures[] = {"SarvamMoEForCausalLM"};

}  // namespace

extern const Family sarvam_moe_family;
const Family sarvam_moe_family = {
    .name = "sarvam_moe",
    .title = "Sarvam 30B",
    .architectures = kArchitectures,
    .model_type = "sarvam_moe",
    .traits = {.qk_norm = true, .router = kSigmoidRouter},
    .provider = "megatron.bridge.models.sarvam.sarvam_provider.SarvamMoEModelProvider",
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
