// The `model:` section against ModelSpec.
#include "rialto/config/model_section.h"

#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::config {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;

int64_t required(std::string_view key, const std::optional<int64_t>& value) {
  const std::string name = "model." + std::string(key);
  if (!value) {
    throw Error(ErrorKind::kConfig, name, "a model with random weights needs this size",
                {.got = "unset", .want = {}, .hint = "or set checkpoint.pretrained_checkpoint to start from a model"});
  }
  if (*value < 1 || *value >= kLargest) {
    throw Error(ErrorKind::kConfig, name, "not a size",
                {.got = std::to_string(*value), .want = "at least 1", .hint = {}});
  }
  return *value;
}

template <class T>
void compare(std::string_view key, const std::optional<T>& wanted, const T& found) {
  if (wanted && *wanted != found) {
    throw Error(ErrorKind::kConfig, "model." + std::string(key), "the loaded model says otherwise",
                {.got = fmt::format("{}", *wanted), .want = fmt::format("{}", found), .hint = "leave the key out"});
  }
}

const spec::Attention* attention_of(const spec::Layer& layer) { return std::get_if<spec::Attention>(&layer.mixer); }

}  // namespace

bool spells_model(const ModelSection& section) {
  return section.num_layers || section.hidden_size || section.ffn_hidden_size || section.num_attention_heads;
}

spec::ModelSpec model_from_section(const ModelSection& section, std::optional<int64_t> tokenizer_vocab, DType dtype) {
  spec::ModelSpec model;
  model.family = section.family;
  model.hidden = required("hidden_size", section.hidden_size);
  model.vocab = required("vocab_size", section.vocab_size ? section.vocab_size : tokenizer_vocab);
  model.max_positions = required("seq_length", section.seq_length);
  model.tied = section.share_embeddings_and_output_weights.value_or(false);
  model.init_std = section.init_method_std.value_or(0.02);
  model.dtype = dtype;
  const spec::Norm norm{section.layernorm_epsilon.value_or(1e-5)};
  model.final_norm = norm;

  spec::Attention attention;
  attention.num_heads = required("num_attention_heads", section.num_attention_heads);
  attention.num_groups =
      section.num_query_groups ? required("num_query_groups", section.num_query_groups) : attention.num_heads;
  if (attention.num_heads % attention.num_groups != 0) {
    throw Error(ErrorKind::kConfig, "model.num_query_groups", "does not divide num_attention_heads",
                {.got = std::to_string(attention.num_groups),
                 .want = fmt::format("a divisor of {}", attention.num_heads),
                 .hint = {}});
  }
  if (!section.kv_channels && model.hidden % attention.num_heads != 0) {
    throw Error(ErrorKind::kConfig, "model.kv_channels",
                "num_attention_heads does not divide hidden_size, so the head size must be given",
                {.got = fmt::format("{} heads, hidden {}", attention.num_heads, model.hidden), .want = {}, .hint = {}});
  }
  attention.head_dim =
      section.kv_channels ? required("kv_channels", section.kv_channels) : model.hidden / attention.num_heads;
  if (attention.head_dim % 2 != 0) {
    throw Error(ErrorKind::kConfig, "model.kv_channels", "rotary embedding needs an even head size",
                {.got = std::to_string(attention.head_dim), .want = {}, .hint = {}});
  }
  attention.qkv_bias = section.add_qkv_bias.value_or(section.family == "qwen2");
  if (section.qk_layernorm.value_or(section.family == "qwen3")) attention.qk_norm = norm;
  if (section.window_size) attention.window = required("window_size", section.window_size);
  attention.softmax_scale = 1.0 / std::sqrt(static_cast<double>(attention.head_dim));
  attention.rope = spec::Rope{section.rotary_base.value_or(10000.0), attention.head_dim, {}};

  const spec::DenseFfn ffn{required("ffn_hidden_size", section.ffn_hidden_size), spec::Activation::kSilu};
  const int64_t layers = required("num_layers", section.num_layers);
  if (layers > 10000) {
    throw Error(ErrorKind::kConfig, "model.num_layers", "too large",
                {.got = std::to_string(layers), .want = "at most 10000", .hint = {}});
  }
  model.layers.assign(static_cast<size_t>(layers), spec::Layer{norm, attention, norm, ffn});
  return model;
}

void check_against_model(const ModelSection& section, const spec::ModelSpec& model) {
  compare<int64_t>("num_layers", section.num_layers, static_cast<int64_t>(model.layers.size()));
  compare<int64_t>("hidden_size", section.hidden_size, model.hidden);
  compare<int64_t>("vocab_size", section.vocab_size, model.vocab);
  compare<bool>("share_embeddings_and_output_weights", section.share_embeddings_and_output_weights, model.tied);
  compare<double>("layernorm_epsilon", section.layernorm_epsilon, model.final_norm.eps);
  if (model.layers.empty()) return;
  const spec::Layer& layer = model.layers.front();
  if (const auto* ffn = std::get_if<spec::DenseFfn>(&layer.ffn))
    compare<int64_t>("ffn_hidden_size", section.ffn_hidden_size, ffn->hidden);
  if (const spec::Attention* attention = attention_of(layer)) {
    compare<int64_t>("num_attention_heads", section.num_attention_heads, attention->num_heads);
    compare<int64_t>("num_query_groups", section.num_query_groups, attention->num_groups);
    compare<int64_t>("kv_channels", section.kv_channels, attention->head_dim);
    compare<bool>("add_qkv_bias", section.add_qkv_bias, attention->qkv_bias);
    compare<bool>("qk_layernorm", section.qk_layernorm, attention->qk_norm.has_value());
    compare<int64_t>("window_size", section.window_size, attention->window.value_or(0));
    if (attention->rope) compare<double>("rotary_base", section.rotary_base, attention->rope->base);
  }
}

}  // namespace rialto::config
