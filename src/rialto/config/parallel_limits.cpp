// What parallel sizes may not be beside other things in this version: limits, which later versions lift.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/precision.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;
using C = const RunConfig&;
using M = const spec::ModelSpec&;

/// What an axis may not run beside in this version.
enum class Beside { kFp8, kSamples, kMuon };

/// What the run asks for of it, with its key; "": nothing.
std::string asked(C c, Beside what) {
  const auto when = [](bool set, std::string_view key, const auto& value) {
    return set ? fmt::format("{} {}", key, value) : "";
  };
  switch (what) {
    case Beside::kFp8:
      return when(!precision_of(c).fp8_recipe.empty(), "mixed_precision", c.mixed_precision);
    case Beside::kSamples:
      return when(c.logger.sample_tokens > 0, "logger.sample_tokens", c.logger.sample_tokens);
    case Beside::kMuon:
      return when(c.optimizer.optimizer == "muon", "optimizer.optimizer", "muon");
  }
  return "";
}

/// An axis of `size` ranks beside any of these; the first is named.
Found runs_alone(C c, int64_t size, std::string_view what, std::initializer_list<Beside> besides) {
  if (size <= 1) return {};
  for (const Beside beside : besides) {
    if (const std::string with = asked(c, beside); !with.empty())
      return Finding{std::string(what), {.got = fmt::format("{} with {}", size, with), .want = "1"}};
  }
  return {};
}

Found whole_layers(C c) {
  return runs_alone(c, c.parallel.tensor_model_parallel_size, "this version does not split layers with it",
                    {Beside::kFp8, Beside::kSamples, Beside::kMuon});
}
Found whole_models(C c) {
  return runs_alone(c, c.parallel.pipeline_model_parallel_size, "this version does not cut a model into stages with it",
                    {Beside::kFp8, Beside::kSamples});
}

/// Ranks that hold the same key/value head, in layers where they do.
std::vector<int64_t> key_copies_of_layers(C c, M m) {
  std::vector<int64_t> copies;
  for (const spec::Layer& layer : m.layers) {
    const auto* attention = std::get_if<spec::Attention>(&layer.mixer);
    if (attention)
      copies.push_back(
          std::max<int64_t>(1, c.parallel.tensor_model_parallel_size / std::max<int64_t>(1, attention->num_groups)));
  }
  return copies;
}

Found key_heads_are_shared_alike(C c, M m) {
  const std::vector<int64_t> copies = key_copies_of_layers(c, m);
  if (copies.empty() || std::ranges::max(copies) == 1) return {};
  const auto finding = [&](const char* what, std::string got) {
    return Finding{what, {.got = std::move(got), .want = "a divisor of the key/value heads"}};
  };
  if (std::ranges::min(copies) != std::ranges::max(copies))
    return finding("this version shares key/value heads alike in all layers",
                   fmt::format("{} to {} ranks a head", std::ranges::min(copies), std::ranges::max(copies)));
  for (const spec::Layer& layer : m.layers) {
    const auto* attention = std::get_if<spec::Attention>(&layer.mixer);
    if (attention && attention->qk_norm && attention->qk_norm_width == spec::QkNormWidth::kFull)
      return finding("this version does not share key/value heads that are normed together",
                     fmt::format("{} key/value heads with tensor_model_parallel_size {}", attention->num_groups,
                                 c.parallel.tensor_model_parallel_size));
  }
  return {};
}

Found whole_layers_of_experts(C c) {
  return runs_alone(c, c.parallel.expert_model_parallel_size, "this version does not share experts out with it",
                    {Beside::kFp8, Beside::kSamples});
}

Found drops_by_weight(C c) {
  if (c.parallel.context_parallel_size <= 1 || !c.model.moe_expert_capacity_factor ||
      c.model.moe_token_drop_policy != "position")
    return {};
  return Finding{"context-parallel ranks have their tokens in another order",
                 {.got = fmt::format("position with context_parallel_size {}", c.parallel.context_parallel_size),
                  .want = "probs"}};
}

}  // namespace

void add_parallel_limits(std::vector<Rule>& rules) {
  rules.push_back(
      {"R051", "model.tensor_model_parallel_size", "1 with FP8, logger.sample_tokens or muon", whole_layers, true});
  rules.push_back(
      {"R052", "model.pipeline_model_parallel_size", "1 with FP8 or logger.sample_tokens", whole_models, true});
  rules.push_back({"R490", "model.expert_model_parallel_size", "1 with FP8 or logger.sample_tokens",
                   whole_layers_of_experts, true});
  rules.push_back({"R057", "model.moe_token_drop_policy", "probs beside context parallelism", drops_by_weight, true});
}

std::vector<ModelRule> parallel_model_limits() {
  return {
      {"R479", "model.tensor_model_parallel_size",
       "a divisor of the key/value heads where layers differ in them or norm them together", key_heads_are_shared_alike,
       true},
  };
}

}  // namespace rialto::config
