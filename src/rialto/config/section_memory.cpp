// Keys of `model:` about what a training step keeps for its backward pass (recompute, offload) and what it drops.
// Legal combinations are those of Megatron-Core's TransformerConfig.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

const std::vector<std::string> kRecomputed = {"core_attn", "moe_act", "layernorm",     "mla_up_proj",
                                              "mlp",       "moe",     "shared_experts"};
const std::vector<std::string> kOffloaded = {"attn_norm", "qkv_linear", "core_attn", "attn_proj",
                                             "mlp_norm",  "expert_fc1", "moe_act"};

std::vector<Field<MemoryKeys>> memory_fields() {
  using M = MemoryKeys;
  return {
      field("hidden_dropout", &M::hidden_dropout,
            "probability of dropping an element of the embedding, or of what attention and ffn add"),
      field("attention_dropout", &M::attention_dropout, "probability of dropping a weight of attention"),
      field("recompute_granularity", &M::recompute_granularity,
            "full: whole layers run again in the backward pass; selective: the parts in recompute_modules"),
      field("recompute_method", &M::recompute_method,
            "of full: uniform (groups of recompute_num_layers) or block (the first recompute_num_layers)"),
      field("recompute_num_layers", &M::recompute_num_layers, "layers of a group, or of the block"),
      {"recompute_modules",
       "parts that run again: core_attn, mlp, moe, moe_act, shared_experts, layernorm, mla_up_proj",
       [](M& memory, const Node& node) {
         if (node.kind == Node::Kind::kNull)
           memory.recompute_modules = M{}.recompute_modules;
         else
           read_value(node, memory.recompute_modules);
       },
       [](const M& memory) { return write_value(memory.recompute_modules); }, "list of text"},
      field("moe_layer_recompute", &M::moe_layer_recompute, "the older name of selective recompute of moe"),
      field("cpu_offloading", &M::cpu_offloading, "what the first layers keep waits in host memory"),
      field("cpu_offloading_num_layers", &M::cpu_offloading_num_layers, "how many layers that is"),
      field("fine_grained_activation_offloading", &M::fine_grained_activation_offloading,
            "what the parts in offload_modules keep waits in host memory"),
      field("offload_modules", &M::offload_modules,
            "attn_norm, qkv_linear, core_attn, attn_proj, mlp_norm, expert_fc1, moe_act"),
      field("min_offloaded_tensor_size", &M::min_offloaded_tensor_size, "elements of the smallest tensor they offload"),
  };
}

Rule probability_rule(std::string_view id, std::string_view key, double MemoryKeys::* member) {
  return {id, key, "at least 0 and below 1", [member](const RunConfig& config) -> Found {
            const double got = config.memory.*member;
            if (got >= 0 && got < 1) return {};
            return Finding{"out of range", {.got = fmt::format("{}", got), .want = "at least 0 and below 1"}};
          }};
}

Rule names_rule(std::string_view id, std::string_view key, std::vector<std::string> MemoryKeys::* member,
                const std::vector<std::string>& names) {
  const std::string says = fmt::format("{}", fmt::join(names, ", "));
  return {id, key, says, [member, names, says](const RunConfig& config) -> Found {
            for (const std::string& name : config.memory.*member) {
              if (std::ranges::find(names, name) != names.end()) continue;
              const std::string near = nearest(name, names);
              return Finding{"unknown part",
                             {.got = fmt::format("'{}'", name),
                              .want = says,
                              .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)}};
            }
            return {};
          }};
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Found method_fits(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  if (m.recompute_granularity == "full" && m.recompute_method.empty())
    return Finding{"full recompute needs a method", {.got = "unset", .want = "uniform or block"}};
  if (m.recompute_granularity.empty() && !m.recompute_method.empty())
    return Finding{"no recompute is asked for",
                   {.got = m.recompute_method, .want = "unset", .hint = "model.recompute_granularity=full"}};
  return {};
}

Found layers_fit(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  const bool full = m.recompute_granularity == "full", set = m.recompute_num_layers.has_value();
  if (full && !set) return Finding{"full recompute needs it", {.got = "unset", .want = "at least 1"}};
  if (full && *m.recompute_num_layers < 1)
    return Finding{"too small", {.got = std::to_string(*m.recompute_num_layers), .want = "at least 1"}};
  if (!full && set)
    return Finding{"only full recompute counts layers",
                   {.got = std::to_string(*m.recompute_num_layers), .want = "unset"}};
  return {};
}

Found offload_alone(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  if (!m.cpu_offloading || (m.recompute_granularity.empty() && !m.moe_layer_recompute)) return {};
  return Finding{"excludes recompute", {.got = "true", .want = "false, or model.recompute_granularity unset"}};
}

Found one_offload(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  if (!m.fine_grained_activation_offloading || !m.cpu_offloading) return {};
  return Finding{"excludes model.cpu_offloading", {.got = "true", .want = "false"}};
}

Found modules_named(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  if (m.fine_grained_activation_offloading && m.offload_modules.empty())
    return Finding{"fine-grained offload needs parts",
                   {.got = "[]", .want = fmt::format("{}", fmt::join(kOffloaded, ", "))}};
  if (has(m.offload_modules, "attn_proj") && !has(m.offload_modules, "core_attn"))
    return Finding{"the input of attn_proj is the output of core_attn, which that keeps as well",
                   {.got = "attn_proj", .want = "core_attn beside it"}};
  return {};
}

Found latent_attention(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  const Node* latent = config.model.find("multi_latent_attention");
  const bool asked = m.recompute_granularity == "selective" && has(m.recompute_modules, "mla_up_proj");
  if (!asked || !latent || latent->text != "false") return {};
  return Finding{"only latent attention has mla_up_proj", {.got = "mla_up_proj", .want = "a part that the model has"}};
}

Found not_of_full(const RunConfig& config) {
  const MemoryKeys& m = config.memory;
  if (!m.moe_layer_recompute || m.recompute_granularity != "full") return {};
  return Finding{"full recompute covers it", {.got = "true", .want = "false"}};
}

}  // namespace

void add_memory_rows(std::vector<KeyRow>& rows) { add_rows(rows, "model", &RunConfig::memory, memory_fields()); }

void add_memory_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(probability_rule("R300", "model.hidden_dropout", &MemoryKeys::hidden_dropout));
  rules.push_back(probability_rule("R301", "model.attention_dropout", &MemoryKeys::attention_dropout));
  rules.push_back(name_rule("R302", "model.recompute_granularity", [](C c) { return c.memory.recompute_granularity; },
                            {"full", "selective", ""}));
  rules.push_back(name_rule("R303", "model.recompute_method", [](C c) { return c.memory.recompute_method; },
                            {"uniform", "block", ""}));
  rules.push_back({"R304", "model.recompute_method", "set for full recompute, unset without recompute", method_fits});
  rules.push_back({"R305", "model.recompute_num_layers", "at least 1 for full recompute, unset otherwise", layers_fit});
  rules.push_back(names_rule("R306", "model.recompute_modules", &MemoryKeys::recompute_modules, kRecomputed));
  rules.push_back({"R307", "model.recompute_modules", "mla_up_proj for latent attention only", latent_attention});
  rules.push_back({"R308", "model.moe_layer_recompute", "false with full recompute", not_of_full});
  rules.push_back(integer_rule(
      "R310", "model.cpu_offloading_num_layers", [](C c) { return c.memory.cpu_offloading_num_layers; }, 0));
  rules.push_back({"R311", "model.cpu_offloading", "false with recompute", offload_alone});
  rules.push_back({"R312", "model.fine_grained_activation_offloading", "false with model.cpu_offloading", one_offload});
  rules.push_back(names_rule("R313", "model.offload_modules", &MemoryKeys::offload_modules, kOffloaded));
  rules.push_back({"R314", "model.offload_modules",
                   "set with fine_grained_activation_offloading; attn_proj with core_attn only", modules_named});
  rules.push_back(integer_rule(
      "R315", "model.min_offloaded_tensor_size", [](C c) { return c.memory.min_offloaded_tensor_size; }, 0));
}

}  // namespace rialto::config
