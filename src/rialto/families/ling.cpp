// Ling 2.0 and Ring 2.0: names of their own, norms of queries and keys, half of each head turns, DeepSeek V3's experts.
// Source: the published configuration_bailing_moe_v2.py and modeling_bailing_moe_v2.py.
#include "rialto/families/common/config_tables.h"
#include "rialto/families/common/param_tables.h"
#include "rialto/families/common/routers.h"
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kOwnConfig[] = {
    {"max_position_embeddings", kMaxPositions, "32768"},
    {"initializer_range", kInitStd, "0.02"},
    {"rope_theta", kRopeTheta, "600000.0"},
    {"n_group", kRouterGroups, "8"},
    {"topk_group", kTopGroups, "4"},
    {"routed_scaling_factor", kRouteScale, "1.0"},
    {"eos_token_id", kEos, "156892"},
};
constexpr auto kConfig = join(kDecoderConfig, kRopeConfig, kMtpConfig, kBailingConfig, kOwnConfig);
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
    .traits = {.qk_norm = true, .router = kSigmoidRouter},
    .config = kConfig,
    .params = kParams,
    .ignored = kRopeBuffers,
};

}  // namespace rialto::families
