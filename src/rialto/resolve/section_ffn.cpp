// Feed-forward blocks of a `model:` section. Source: Megatron-Core 0.16.1 transformer/mlp.py, moe/router.py,
// moe_utils.py.
#include <fmt/format.h>

#include "rialto/resolve/activations.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/router_groups.h"
#include "rialto/resolve/section_parts.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

/// What the family's models compute, by the name that its config row gives first.
spec::Activation activation_of(const SectionSource& source) {
  return activation_named(source.usual(ConfigKind::kActivation).get<std::string>());
}

spec::Router read_router(const SectionSource& source, int64_t num_experts) {
  const YamlSection& keys = source.keys;
  spec::Router router = source.traits().router;
  const bool sigmoid = router.score == spec::RouterScore::kSigmoid;
  if (!source.megatron()) keys.need("moe_router_topk");
  router.top_k = keys.size_or("moe_router_topk", num_experts, 2);
  source.fixed("moe_router_score_function", sigmoid ? "sigmoid" : "softmax", sigmoid);
  source.flag("moe_router_enable_expert_bias", false, router.selection_bias);
  router.num_groups =
      std::max<int64_t>(source.size_if(ConfigKind::kRouterGroups, "moe_router_num_groups", num_experts), 1);
  const int64_t top_groups = source.size_if(ConfigKind::kTopGroups, "moe_router_group_topk", num_experts);
  // Megatron limits the groups only when it is told to how many.
  if (source.megatron() && top_groups == 0) router.num_groups = 1;
  router.top_groups = router.num_groups == 1 ? 1 : std::max<int64_t>(top_groups, 1);
  switch (flaw_of_groups(router, num_experts)) {
    case GroupsFlaw::kNone:
      break;
    case GroupsFlaw::kIndivisible:
      throw keys.bad("moe_router_num_groups", fmt::format("a divisor of {}", num_experts));
    case GroupsFlaw::kTooFew:
      throw keys.bad("moe_router_group_topk", fmt::format("groups that hold {} experts", router.top_k));
    case GroupsFlaw::kLonely:
      throw keys.bad("moe_router_num_groups", "groups of at least two experts, which rank a group");
  }
  router.scale = source.number_if(ConfigKind::kRouteScale, "moe_router_topk_scaling_factor", 0, 1).value_or(1);
  // Sigmoid scores are always renormalized; softmax ones when taken of the chosen alone.
  if (sigmoid) {
    keys.flag_or("moe_router_pre_softmax", true);
    return router;
  }
  const Json row = source.usual(ConfigKind::kRenormalize);
  const bool usual = router.softmax_after_top_k || (row.is_boolean() ? row.get<bool>() : router.renormalize);
  const bool renormalized = !source.flag("moe_router_pre_softmax", row.is_boolean(), !usual);
  if (row.is_boolean()) router.renormalize = renormalized;
  return router;
}

}  // namespace

void check_section_unit(const SectionSource& source, bool some_moe, bool out_bias) {
  const families::Traits& traits = source.traits();
  const YamlSection& keys = source.keys;
  const bool biased = out_bias || (some_moe && traits.expert_bias);
  source.fixed("add_bias_linear", biased ? "true" : "false", true);
  source.fixed("gated_linear_unit", traits.gated ? "true" : "false", true);
  source.fixed("glu_linear_offset", traits.clamped ? "1" : "0", traits.clamped);
  const std::string_view name = traits.clamped ? "quick_gelu" : megatron_name(activation_of(source));
  if (!source.megatron() && !keys.find("activation_func")) return;
  if (keys.target("activation_func") != name)
    throw keys.not_computed("activation_func", fmt::format("{} ({})", name, source.family.title));
}

spec::DenseFfn read_section_dense(const SectionSource& source) {
  return {.hidden = source.keys.size("ffn_hidden_size", kMaxSize),
          .activation = activation_of(source),
          .gated = source.traits().gated};
}

spec::MoeFfn read_section_moe(const SectionSource& source) {
  const YamlSection& keys = source.keys;
  const families::Traits& traits = source.traits();
  spec::MoeFfn moe;
  moe.num_experts = keys.size("num_moe_experts", kMaxExperts);
  moe.expert_hidden = keys.size(keys.find("moe_ffn_hidden_size") ? "moe_ffn_hidden_size" : "ffn_hidden_size", kMaxSize);
  moe.shared_hidden = source.size_if(ConfigKind::kSharedExperts, "moe_shared_expert_intermediate_size", kMaxSize);
  moe.expert_bias = traits.expert_bias;
  moe.activation = traits.clamped ? spec::Activation::kGptOss : activation_of(source);
  moe.clamp = source.number_if(ConfigKind::kClamp, "activation_func_clamp_value", 0, 0);
  if (!source.megatron() && !keys.find("activation_func_clamp_value") && source.open(ConfigKind::kClamp))
    moe.clamp = source.usual(ConfigKind::kClamp).get<double>();
  moe.router = read_router(source, moe.num_experts);
  return moe;
}

}  // namespace rialto::resolve
