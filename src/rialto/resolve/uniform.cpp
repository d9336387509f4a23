// Uniform models to per-layer values and back.
#include "rialto/resolve/uniform.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"

namespace rialto::resolve {

spec::ModelSpec expand(const Uniform& uniform, ErrorKind kind, const std::string& where) {
  if (uniform.num_groups < 1 || uniform.num_heads % uniform.num_groups != 0)
    throw Error(kind, where, "num_key_value_heads (or num_query_groups) does not divide the attention heads",
                {.got = fmt::format("{} heads, {} key/value heads", uniform.num_heads, uniform.num_groups)});
  if (uniform.head_dim % 2 != 0)
    throw Error(kind, where, "the head size must be even for rotary embeddings",
                {.got = fmt::to_string(uniform.head_dim)});
  spec::ModelSpec model{.family = uniform.family,
                        .hidden = uniform.hidden,
                        .vocab = uniform.vocab,
                        .max_positions = uniform.max_positions,
                        .tied = uniform.tied,
                        .final_norm = {uniform.eps},
                        .init_std = uniform.init_std,
                        .dtype = uniform.dtype,
                        .eos_token_ids = uniform.eos,
                        .bos_token_id = uniform.bos};
  spec::Rope rope = uniform.rope;
  rope.dim = uniform.head_dim;
  for (int64_t index = 0; index < uniform.num_layers; ++index) {
    spec::Attention attention{.num_heads = uniform.num_heads,
                              .num_groups = uniform.num_groups,
                              .head_dim = uniform.head_dim,
                              .qkv_bias = uniform.qkv_bias,
                              .window = uniform.windows[static_cast<size_t>(index)],
                              .softmax_scale = 1 / std::sqrt(static_cast<double>(uniform.head_dim)),
                              .rope = rope};
    if (uniform.qk_norm) attention.qk_norm = spec::Norm{uniform.eps};
    model.layers.push_back({.mixer_norm = spec::Norm{uniform.eps},
                            .mixer = attention,
                            .ffn_norm = spec::Norm{uniform.eps},
                            .ffn = spec::DenseFfn{.hidden = uniform.ffn_hidden}});
  }
  return model;
}

Uniform uniform_of(const spec::ModelSpec& model) {
  const auto* attention = model.layers.empty() ? nullptr : std::get_if<spec::Attention>(&model.layers[0].mixer);
  const auto* ffn = model.layers.empty() ? nullptr : std::get_if<spec::DenseFfn>(&model.layers[0].ffn);
  if (!attention || !ffn || !attention->rope)
    throw Error(ErrorKind::kConfig, model.family, "has layers that no configuration of this version can describe");
  Uniform uniform{.family = model.family,
                  .hidden = model.hidden,
                  .vocab = model.vocab,
                  .max_positions = model.max_positions,
                  .num_layers = static_cast<int64_t>(model.layers.size()),
                  .num_heads = attention->num_heads,
                  .num_groups = attention->num_groups,
                  .head_dim = attention->head_dim,
                  .ffn_hidden = ffn->hidden,
                  .eps = model.final_norm.eps,
                  .init_std = model.init_std,
                  .tied = model.tied,
                  .qkv_bias = attention->qkv_bias,
                  .qk_norm = attention->qk_norm.has_value(),
                  .rope = *attention->rope,
                  .dtype = model.dtype,
                  .eos = model.eos_token_ids,
                  .bos = model.bos_token_id};
  for (const spec::Layer& layer : model.layers) {
    const auto* mixer = std::get_if<spec::Attention>(&layer.mixer);
    uniform.windows.push_back(mixer ? mixer->window : std::nullopt);
  }
  return uniform;
}

bool family_has(const families::Family& family, std::string_view native_suffix) {
  return std::any_of(family.params.begin(), family.params.end(),
                     [&](const bridge::ParamRow& row) { return row.native.ends_with(native_suffix); });
}

const families::Family& family_named(const std::string& name) {
  if (const families::Family* family = families::find_by_name(name)) return *family;
  std::vector<std::string> known;
  for (const families::Family* family : families::registry()) known.emplace_back(family->name);
  throw Error(ErrorKind::kConfig, "model.family", "there is no such family",
              {.got = fmt::format("'{}'", name), .want = fmt::format("{}", fmt::join(known, ", "))});
}

}  // namespace rialto::resolve
