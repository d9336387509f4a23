// Megatron's names of a layer's parts, and what a model of this kind has of them.
#include "rialto/train/memory.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::train {
namespace {

using model::Module;

struct Named {
  std::string_view name;
  Module module;
};
constexpr Named kModules[] = {
    {"core_attn", Module::kCoreAttn},
    {"mlp", Module::kMlp},
    {"moe", Module::kMoe},
    {"moe_act", Module::kMoeAct},
    {"layernorm", Module::kLayernorm},
    {"shared_experts", Module::kSharedExperts},
    {"attn_norm", Module::kAttnNorm},
    {"mla_up_proj", Module::kMlaUpProj},
    {"attn_proj", Module::kAttnProj},
    {"qkv_linear", Module::kQkvLinear},
    {"mlp_norm", Module::kMlpNorm},
    {"expert_fc1", Module::kExpertFc1},
};

std::set<Module> modules(const std::vector<std::string>& names) {
  std::set<Module> out;
  for (const std::string& name : names)
    for (const Named& row : kModules)
      if (row.name == name) out.insert(row.module);
  return out;
}

void check_offloaded_layers(const config::MemoryKeys& keys, const spec::ModelSpec& model) {
  const auto layers = static_cast<int64_t>(model.layers.size());
  if (!keys.cpu_offloading || keys.cpu_offloading_num_layers < layers) return;
  throw Error(ErrorKind::kConfig, "model.cpu_offloading_num_layers", "the last layer's turn comes at once",
              {.got = std::to_string(keys.cpu_offloading_num_layers),
               .want = fmt::format("less than the {} layers of the model", layers),
               .hint = {}});
}

void check_latent(const std::set<Module>& recompute, const spec::ModelSpec& model) {
  const auto latent = [](const spec::Layer& l) { return std::holds_alternative<spec::LatentAttention>(l.mixer); };
  if (!recompute.contains(Module::kMlaUpProj) || std::ranges::any_of(model.layers, latent)) return;
  throw Error(ErrorKind::kConfig, "model.recompute_modules", "this model has no latent attention",
              {.got = "mla_up_proj", .want = "parts that the model has", .hint = {}});
}

}  // namespace

model::MemoryPlan memory_plan(const config::MemoryKeys& keys, const spec::ModelSpec& model) {
  model::MemoryPlan plan;
  if (keys.recompute_granularity == "full") {
    (keys.recompute_method == "uniform" ? plan.uniform_layers : plan.block_layers) = keys.recompute_num_layers.value();
  }
  if (keys.recompute_granularity == "selective") plan.recompute = modules(keys.recompute_modules);
  if (keys.moe_layer_recompute) plan.recompute.insert(Module::kMoe);
  if (keys.cpu_offloading) plan.host_layers = keys.cpu_offloading_num_layers;
  if (keys.fine_grained_activation_offloading) {
    plan.host = modules(keys.offload_modules);
    plan.min_host_elements = keys.min_offloaded_tensor_size;
  }
  check_offloaded_layers(keys, model);
  check_latent(plan.recompute, model);
  return plan;
}

}  // namespace rialto::train
