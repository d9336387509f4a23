// The `model:` section of a run_config.yaml -> ModelSpec, ours or Bridge's.
//
// Both are read alike: a window of [n, 0] is n + 1 keys, since that is what Megatron computes. Ours has a `rialto:`
// section with what Megatron has no key for; without it the family is the one whose parts the values ask for:
// qk_layernorm Qwen3, add_qkv_bias Qwen2, a window Mistral, none of them Llama.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/uniform.h"
#include "rialto/resolve/yaml_section.h"

namespace rialto::resolve {
namespace {

constexpr int64_t kMaxLayers = 10'000, kMaxSize = 1 << 20, kMaxVocab = 1 << 28, kMaxPositions = int64_t{1} << 40;
constexpr double kLargest = 1e12;

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
    {"mrope_section", "null"},
    {"mtp_num_layers", "null"},
    {"multi_latent_attention", "false"},
    {"no_rope_freq", "null"},
    {"normalization", "RMSNorm", false},
    {"num_moe_experts", "null"},
    {"position_embedding_type", "rope", false},
    {"qk_l2_norm", "false"},
    {"rotary_interleaved", "false"},
    {"rotary_percent", "1"},
    {"rotary_scaling_factor", "null"},
    {"softmax_scale", "null"},
    {"softmax_type", "vanilla"},
};

/// Names of Python classes and functions are looked up here; nothing is imported.
constexpr std::array<std::string_view, 5> kProviders = {
    "GPTModelProvider", "LlamaModelProvider", "MistralModelProvider", "Qwen2ModelProvider", "Qwen3ModelProvider"};

void check_names(const YamlSection& model) {
  if (std::find(kProviders.begin(), kProviders.end(), model.target("_target_")) == kProviders.end())
    throw model.bad(model.need("_target_"), "_target_",
                    fmt::format("{} or one of its dense families", kProviders.front()));
  if (model.target("activation_func") != "silu")
    throw model.bad(model.need("activation_func"), "activation_func", "torch.nn.functional.silu");
}

DType read_dtype(const YamlSection& model) {
  const std::optional<DType> dtype = dtype_from_torch(model.target("params_dtype"));
  if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16)
    throw model.bad(model.need("params_dtype"), "params_dtype", "torch.float32, torch.bfloat16 or torch.float16");
  return *dtype;
}

/// [keys before the query, keys after it]; a tuple may be written as a call.
std::optional<int64_t> read_window(const YamlSection& model) {
  const Node* size = model.find("window_size");
  if (!size) return {};
  const Node& at = *size;
  if (const Node* arguments = size->kind == Node::Kind::kMap ? size->find("_args_") : nullptr;
      arguments && arguments->items.size() == 1)
    size = &arguments->items[0];
  const bool pair =
      size->kind == Node::Kind::kList && size->items.size() == 2 && size->items[0].kind == Node::Kind::kInt;
  if (!pair || size->items[0].integer < 0 || size->items[0].integer >= kMaxPositions || !says(size->items[1], "0"))
    throw model.bad(at, "window_size", "[keys before the query, 0]");
  return size->items[0].integer + 1;
}

/// window_attn_skip_freq: every Nth layer goes without a window, or one flag per layer.
/// Source: Megatron-Core transformer/utils.py, is_layer_window_attention.
std::vector<std::optional<int64_t>> read_windows(const YamlSection& model, int64_t num_layers) {
  std::vector<std::optional<int64_t>> windows(static_cast<size_t>(num_layers), read_window(model));
  const Node* skip = model.find("window_attn_skip_freq");
  if (!skip) return windows;
  const bool list = skip->kind == Node::Kind::kList && skip->items.size() == windows.size();
  if (!list && !(skip->kind == Node::Kind::kInt && skip->integer > 0))
    throw model.bad(*skip, "window_attn_skip_freq", fmt::format("a positive number or {} flags", num_layers));
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    const bool skipped = list ? says(skip->items[layer], "0") || says(skip->items[layer], "false")
                              : (static_cast<int64_t>(layer) + 1) % skip->integer == 0;
    if (skipped) windows[layer].reset();
  }
  return windows;
}

spec::Rope read_rope(const YamlSection& model, const YamlSection* own) {
  spec::Rope rope{.base = model.number_or("rotary_base", 1, kLargest, 10000)};
  if (model.flag_or("rope_scaling", false)) {
    spec::Llama3Scaling scaling{.factor = model.number_or("rope_scaling_factor", 1e-6, kLargest, 8)};
    if (own) {
      scaling.low_freq_factor = own->number_or("rope_low_freq_factor", 1e-6, kLargest, scaling.low_freq_factor);
      scaling.high_freq_factor = own->number_or("rope_high_freq_factor", 1e-6, kLargest, scaling.high_freq_factor);
      scaling.original_max_positions =
          own->size_or("rope_original_max_positions", kMaxPositions, scaling.original_max_positions);
    }
    rope.scaling = scaling;
  }
  if (const Node* linear = model.find("seq_len_interpolation_factor")) {
    if (!std::holds_alternative<std::monostate>(rope.scaling))
      throw model.bad(*linear, "seq_len_interpolation_factor", "null where rope_scaling is true");
    rope.scaling = spec::LinearScaling{model.number_or("seq_len_interpolation_factor", 1e-6, kLargest, 1)};
  }
  return rope;
}

std::string infer_family(const Uniform& uniform) {
  if (uniform.qk_norm) return "qwen3";
  if (uniform.qkv_bias) return "qwen2";
  const bool window =
      std::any_of(uniform.windows.begin(), uniform.windows.end(), [](const auto& w) { return w.has_value(); });
  return window ? "mistral" : "llama";
}

void read_own(const YamlSection& own, Uniform& uniform) {
  const Node& family = own.need("family");
  if (family.kind != Node::Kind::kString || !families::find_by_name(family.text))
    throw own.bad(family, "family", "a family of this version");
  uniform.family = family.text;
  if (const Node* ids = own.find("eos_token_ids"))
    for (const Node& id : ids->items) {
      if (id.kind != Node::Kind::kInt || id.integer < 0) throw own.bad(*ids, "eos_token_ids", "token ids");
      uniform.eos.push_back(id.integer);
    }
  if (const Node* bos = own.find("bos_token_id")) {
    if (bos->kind != Node::Kind::kInt || bos->integer < 0) throw own.bad(*bos, "bos_token_id", "a token id");
    uniform.bos = bos->integer;
  }
}

}  // namespace

spec::ModelSpec model_from_run_config(const Node& run_config) {
  const Node* node = run_config.find("model");
  if (!node) throw Error(ErrorKind::kInput, run_config.where(), "has no 'model:' section");
  const YamlSection model(*node, "model");
  check_names(model);
  for (const Must& must : kMust) model.require(must.key, must.text, must.optional);
  const Node* own_node = run_config.find("rialto");
  const std::optional<YamlSection> own =
      own_node ? std::optional<YamlSection>(std::in_place, *own_node, "rialto") : std::nullopt;

  Uniform uniform;
  uniform.num_layers = model.size("num_layers", kMaxLayers);
  uniform.hidden = model.size("hidden_size", kMaxSize);
  uniform.num_heads = model.size("num_attention_heads", kMaxSize);
  uniform.num_groups = model.size_or("num_query_groups", kMaxSize, uniform.num_heads);
  if (!model.find("kv_channels") && uniform.hidden % uniform.num_heads != 0)
    throw model.bad(*node, "kv_channels", "a head size");
  uniform.head_dim = model.size_or("kv_channels", kMaxSize, uniform.hidden / uniform.num_heads);
  uniform.ffn_hidden = model.size("ffn_hidden_size", kMaxSize);
  uniform.vocab = model.size("vocab_size", kMaxVocab);
  uniform.max_positions = model.size("seq_length", kMaxPositions);
  uniform.eps = model.number_or("layernorm_epsilon", 0, 1, 1e-5);
  uniform.init_std = model.number_or("init_method_std", 0, 1e3, 0.02);
  uniform.tied = model.flag_or("share_embeddings_and_output_weights", true);
  uniform.qkv_bias = model.flag_or("add_qkv_bias", false);
  uniform.qk_norm = model.flag_or("qk_layernorm", false);
  uniform.windows = read_windows(model, uniform.num_layers);
  uniform.rope = read_rope(model, own ? &*own : nullptr);
  uniform.dtype = read_dtype(model);
  if (own)
    read_own(*own, uniform);
  else
    uniform.family = infer_family(uniform);
  return expand(uniform, ErrorKind::kInput, node->where());
}

}  // namespace rialto::resolve
