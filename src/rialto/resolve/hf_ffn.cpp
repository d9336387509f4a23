// The feed-forward blocks of a config.json. Source: transformers 5.23, the MLPs, experts and routers of the families.
#include "rialto/resolve/hf_ffn.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/activations.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/router_groups.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

/// A family computes one function; its row lists the names that mean it.
spec::Activation read_activation(const HfConfig& config) {
  const std::vector<Json> names = config.alternatives(ConfigKind::kActivation);
  const std::string name = config.text(ConfigKind::kActivation);
  if (std::find(names.begin(), names.end(), Json(name)) == names.end())
    throw config.bad(ConfigKind::kActivation, "is not computed here", {.got = name, .want = names.front().dump()});
  return activation_named(names.front().get<std::string>());
}

int64_t integer_or(const HfConfig& config, ConfigKind kind, int64_t low, int64_t otherwise) {
  return config.has(kind) ? config.integer_or_null(kind, low, kMaxSize).value_or(otherwise) : otherwise;
}

bool chooses_groups(const HfConfig& config) {
  if (!config.has(ConfigKind::kTopKMethod)) return true;
  const std::string method = config.text(ConfigKind::kTopKMethod);
  if (method != "greedy" && method != "group_limited_greedy")
    throw config.bad(ConfigKind::kTopKMethod, "is not computed here",
                     {.got = method, .want = "greedy or group_limited_greedy"});
  return method != "greedy";
}

spec::Router read_router(const HfConfig& config, int64_t num_experts) {
  spec::Router router = config.family().traits.router;
  router.top_k = config.integer(ConfigKind::kTopK, 1, num_experts);
  if (chooses_groups(config)) {
    router.num_groups = integer_or(config, ConfigKind::kRouterGroups, 1, 1);
    router.top_groups = integer_or(config, ConfigKind::kTopGroups, 1, 1);
  }
  if (router.num_groups == 1) router.top_groups = 1;
  switch (flaw_of_groups(router, num_experts)) {
    case GroupsFlaw::kNone:
      break;
    case GroupsFlaw::kIndivisible:
      throw config.bad(ConfigKind::kRouterGroups, "does not divide the experts",
                       {.got = fmt::format("{} experts in {} groups", num_experts, router.num_groups)});
    case GroupsFlaw::kTooFew:
      throw config.bad(ConfigKind::kTopGroups, "does not fit",
                       {.got = fmt::format("the {} best of {} groups of {} experts", router.top_groups,
                                           router.num_groups, num_experts / router.num_groups),
                        .want = fmt::format("groups that hold {} experts", router.top_k)});
    case GroupsFlaw::kLonely:
      throw config.bad(ConfigKind::kRouterGroups, "leaves one expert in a group, which is ranked by its best two");
  }
  if (config.has(ConfigKind::kRenormalize)) router.renormalize = config.boolean(ConfigKind::kRenormalize);
  if (config.has(ConfigKind::kRouteScale)) router.scale = config.number(ConfigKind::kRouteScale, 0, kLargest);
  return router;
}

}  // namespace

spec::DenseFfn read_dense(const HfConfig& config) {
  return {.hidden = config.integer(ConfigKind::kFfnHidden, 1, kMaxSize),
          .activation = read_activation(config),
          .gated = config.family().traits.gated};
}

spec::MoeFfn read_moe(const HfConfig& config) {
  const families::Traits& traits = config.family().traits;
  spec::MoeFfn moe;
  moe.num_experts = config.integer(ConfigKind::kExperts, 1, kMaxExperts);
  moe.expert_hidden = config.integer(ConfigKind::kExpertHidden, 1, kMaxSize);
  moe.expert_bias = traits.expert_bias;
  moe.activation = read_activation(config);
  if (traits.clamped) moe.activation = spec::Activation::kGptOss;
  if (config.has(ConfigKind::kClamp)) moe.clamp = config.number(ConfigKind::kClamp, 1e-6, kLargest);
  moe.shared_hidden = integer_or(config, ConfigKind::kSharedExperts, 0, 0) * moe.expert_hidden;
  if (moe.shared_hidden > kMaxSize)
    throw config.bad(ConfigKind::kSharedExperts, "makes the shared experts too wide",
                     {.got = fmt::to_string(moe.shared_hidden), .want = fmt::format("at most {}", kMaxSize)});
  if (config.has(ConfigKind::kSharedHidden) && config.says(ConfigKind::kSharedHidden)) {
    const int64_t width = config.integer(ConfigKind::kSharedHidden, 0, kMaxSize);
    if (width != moe.shared_hidden)
      throw config.bad(ConfigKind::kSharedHidden, "disagrees with the number of shared experts",
                       {.got = fmt::to_string(width), .want = fmt::to_string(moe.shared_hidden)});
  }
  moe.router = read_router(config, moe.num_experts);
  return moe;
}

}  // namespace rialto::resolve
