// Values of another program's `model:` section.
#include "rialto/resolve/foreign_section.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/limits.h"

namespace rialto::resolve {
namespace {

/// A key that must say this: anything else is another model. Source: Megatron-Core 0.16.1 TransformerConfig, Megatron
/// Bridge 0.3.1 GPTModelProvider. Not optional: absent, it means Megatron's default, which is another model too.
struct Must {
  std::string_view key, text;
  bool optional = true;
};
constexpr Must kMust[] = {
    {"activation_func_clamp_value", "null"},
    {"add_bias_linear", "false", false},
    {"apply_query_key_layer_scaling", "false"},
    {"apply_residual_connection_post_layernorm", "false"},
    {"attention_dropout", "0"},
    {"attention_output_gate", "false"},
    {"experimental_attention_variant", "null"},
    {"gated_linear_unit", "true", false},
    {"glu_linear_offset", "0"},
    {"heterogeneous_block_specs", "false"},
    {"hidden_dropout", "0"},
    {"is_hybrid_model", "false"},
    {"layernorm_zero_centered_gamma", "false"},
    {"linear_attention_freq", "null"},
    {"moe_latent_size", "null"},
    {"moe_shared_expert_gate", "false"},
    {"mrope_section", "null"},
    {"no_rope_freq", "null"},
    {"normalization", "RMSNorm", false},
    {"position_embedding_type", "rope", false},
    {"qk_l2_norm", "false"},
    {"rotary_interleaved", "false"},
    {"rotary_percent", "1"},
    {"softmax_scale", "null"},
    {"softmax_type", "vanilla"},
};

/// Experts of the families without latent attention that are read: others differ in what these say, and not in a way
/// that tells which of them it is.
constexpr Must kPlainExperts[] = {
    {"moe_router_enable_expert_bias", "false"}, {"moe_router_group_topk", "null"},
    {"moe_router_num_groups", "null"},          {"moe_router_score_function", "softmax"},
    {"moe_router_topk_scaling_factor", "null"}, {"moe_shared_expert_intermediate_size", "null"},
};

/// Names of Python classes and functions are looked up here; nothing is imported.
constexpr std::array<std::string_view, 11> kProviders = {
    "GPTModelProvider",   "LlamaModelProvider",      "MistralModelProvider",   "Qwen2ModelProvider",
    "Qwen3ModelProvider", "Qwen3MoEModelProvider",   "MixtralModelProvider",   "OlMoEModelProvider",
    "MLAModelProvider",   "DeepSeekV2ModelProvider", "DeepSeekV3ModelProvider"};

/// A tuple may be written as a call.
const Node& unwrapped(const Node& node) {
  const Node* arguments = node.kind == Node::Kind::kMap ? node.find("_args_") : nullptr;
  return arguments && arguments->items.size() == 1 ? arguments->items[0] : node;
}

std::optional<int64_t> window_size(const YamlSection& model) {
  const Node* at = model.find("window_size");
  if (!at) return {};
  const Node& size = unwrapped(*at);
  const bool pair = size.kind == Node::Kind::kList && size.items.size() == 2 && size.items[0].kind == Node::Kind::kInt;
  if (!pair || size.items[0].integer < 0 || size.items[0].integer >= kMaxPositions || !says(size.items[1], "0"))
    throw model.bad(*at, "window_size", "[keys before the query, 0]");
  return size.items[0].integer + 1;
}

bool is_off(const Node& flag) { return says(flag, "0") || says(flag, "false"); }

}  // namespace

void check_foreign(const YamlSection& model, bool latent) {
  if (std::find(kProviders.begin(), kProviders.end(), model.target("_target_")) == kProviders.end())
    throw model.bad(model.need("_target_"), "_target_", fmt::format("{} or a family's of it", kProviders.front()));
  if (model.target("activation_func") != "silu")
    throw model.bad(model.need("activation_func"), "activation_func", "torch.nn.functional.silu");
  for (const Must& must : kMust) model.require(must.key, must.text, must.optional);
  if (latent) return;
  model.require("rotary_scaling_factor", "null", true);
  for (const Must& must : kPlainExperts) model.require(must.key, must.text, must.optional);
}

DType foreign_dtype(const YamlSection& model) {
  const std::optional<DType> dtype = dtype_from_torch(model.target("params_dtype"));
  if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16)
    throw model.bad(model.need("params_dtype"), "params_dtype", "torch.float32, torch.bfloat16 or torch.float16");
  return *dtype;
}

std::vector<std::optional<int64_t>> foreign_windows(const YamlSection& model, int64_t num_layers) {
  std::vector<std::optional<int64_t>> windows(static_cast<size_t>(num_layers), window_size(model));
  const Node* skip = model.find("window_attn_skip_freq");
  if (!skip) return windows;
  const bool list = skip->kind == Node::Kind::kList && skip->items.size() == windows.size();
  if (!list && !(skip->kind == Node::Kind::kInt && skip->integer > 0))
    throw model.bad(*skip, "window_attn_skip_freq", fmt::format("a positive number or {} flags", num_layers));
  for (size_t layer = 0; layer < windows.size(); ++layer)
    if (list ? is_off(skip->items[layer]) : (static_cast<int64_t>(layer) + 1) % skip->integer == 0)
      windows[layer].reset();
  return windows;
}

std::vector<bool> foreign_moe_layers(const YamlSection& model, int64_t num_layers) {
  std::vector<bool> moe(static_cast<size_t>(num_layers), false);
  if (!model.find("num_moe_experts")) return moe;
  if (model.size("num_moe_experts", kMaxExperts) * num_layers > kMaxExpertsOfModel)
    throw model.bad(model.need("num_moe_experts"), "num_moe_experts",
                    fmt::format("at most {} in all layers", kMaxExpertsOfModel));
  const Node* freq = model.find("moe_layer_freq");
  const bool list = freq && freq->kind == Node::Kind::kList && freq->items.size() == moe.size();
  if (freq && !list && !(freq->kind == Node::Kind::kInt && freq->integer > 0))
    throw model.bad(*freq, "moe_layer_freq", fmt::format("a positive number or {} flags", num_layers));
  for (size_t layer = 0; layer < moe.size(); ++layer)
    moe[layer] = list ? !is_off(freq->items[layer]) : static_cast<int64_t>(layer) % (freq ? freq->integer : 1) == 0;
  return moe;
}

spec::Rope foreign_rope(const YamlSection& model) {
  spec::Rope rope{.base = model.number_or("rotary_base", 1, kLargest, 10000)};
  if (model.flag_or("rope_scaling", false))
    rope.scaling = spec::Llama3Scaling{.factor = model.number_or("rope_scaling_factor", 1e-6, kLargest, 8)};
  if (const Node* linear = model.find("seq_len_interpolation_factor")) {
    if (!std::holds_alternative<std::monostate>(rope.scaling))
      throw model.bad(*linear, "seq_len_interpolation_factor", "null where rope_scaling is true");
    rope.scaling = spec::LinearScaling{model.number_or("seq_len_interpolation_factor", 1e-6, kLargest, 1)};
  }
  return rope;
}

spec::Rope foreign_latent_rope(const YamlSection& model) {
  spec::Rope rope{.base = model.number_or("rotary_base", 1, kLargest, 10000)};
  const Node* type = model.find("rope_type");
  if (type && !says(*type, "yarn") && !says(*type, "rope")) throw model.bad(*type, "rope_type", "yarn or rope");
  if (type && says(*type, "rope")) return rope;
  spec::YarnScaling yarn{
      .factor = model.number_or("rotary_scaling_factor", 1e-6, kLargest, 40),
      .beta_fast = model.number_or("beta_fast", 1e-6, kLargest, 32),
      .beta_slow = model.number_or("beta_slow", 1e-6, kLargest, 1),
      .original_max_positions = model.size_or("original_max_position_embeddings", kMaxPositions, 4096),
      .mscale = model.number_or("mscale", 0, kLargest, 1),
      .mscale_all_dim = model.number_or("mscale_all_dim", 0, kLargest, 0)};
  // Megatron scales scores by the one, transformers by the other.
  if (yarn.mscale != yarn.mscale_all_dim)
    throw model.bad(model.find("mscale_all_dim") ? model.need("mscale_all_dim") : model.need("rope_type"),
                    "mscale_all_dim", "the value of mscale");
  rope.scaling = yarn;
  return rope;
}

}  // namespace rialto::resolve
