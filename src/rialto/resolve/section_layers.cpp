// Windows, positions and experts, layer by layer.
#include "rialto/resolve/section_layers.h"

#include <fmt/format.h>

#include "rialto/config/model_keys.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/model_parts.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using config::unwrapped;

bool is_off(const Node& flag) { return says(flag, "0") || says(flag, "false"); }

/// A flag per layer, or every Nth layer: of N, the layers whose number makes `of_number` true.
template <class OfNumber>
std::vector<bool> flags_of(const YamlSection& keys, std::string_view key, size_t num_layers,
                           const OfNumber& of_number) {
  const Node& freq = unwrapped(keys.need(key));
  const bool list = freq.kind == Node::Kind::kList && freq.items.size() == num_layers;
  if (!list && !(freq.kind == Node::Kind::kInt && freq.integer > 0))
    throw keys.bad(key, fmt::format("a positive number or {} flags", num_layers));
  std::vector<bool> flags;
  if (list)
    for (const Node& flag : freq.items)
      if (!is_off(flag) && !says(flag, "1") && !says(flag, "true")) throw keys.bad(key, "flags of 0 or 1");
  for (size_t layer = 0; layer < num_layers; ++layer)
    flags.push_back(list ? !is_off(freq.items[layer]) : of_number(static_cast<int64_t>(layer), freq.integer));
  return flags;
}

/// Gemma 3's provider and a training YAML count the query too.
std::optional<int64_t> window_size(const SectionSource& source) {
  const YamlSection& keys = source.keys;
  const Node* at = keys.find("window_size");
  if (!at) return {};
  if (!source.open(ConfigKind::kWindow)) throw keys.not_computed("window_size", "null");
  const bool counts_query = !source.megatron() || keys.find("interleaved_attn_pattern");
  if (counts_query && at->kind == Node::Kind::kInt) return keys.size("window_size", kMaxPositions);
  const Node& size = unwrapped(*at);
  const bool pair = size.kind == Node::Kind::kList && size.items.size() == 2 && size.items[0].kind == Node::Kind::kInt;
  if (!pair || size.items[0].integer < 0 || size.items[0].integer >= kMaxPositions || !says(size.items[1], "0"))
    throw keys.bad(*at, "window_size",
                   counts_query ? "keys, or [keys before the query, 0]" : "[keys before the query, 0]");
  return size.items[0].integer + 1;
}

/// [N - 1, 1]: every Nth layer has no window. 0: nothing is said.
int64_t interleaved(const YamlSection& keys) {
  const Node* at = keys.find("interleaved_attn_pattern");
  if (!at) return 0;
  const Node& pair = unwrapped(*at);
  if (pair.kind != Node::Kind::kList || pair.items.size() != 2 || pair.items[0].kind != Node::Kind::kInt ||
      pair.items[0].integer < 1 || pair.items[0].integer >= kMaxLayers || !says(pair.items[1], "1"))
    throw keys.bad(*at, "interleaved_attn_pattern", "[layers with a window, 1]");
  return pair.items[0].integer + 1;
}

bool all_but_nth(int64_t layer, int64_t n) { return n == 0 || (layer + 1) % n != 0; }

/// A provider of the family's own alternates by itself, asked or not.
std::vector<bool> windowed(const SectionSource& source, size_t num_layers) {
  const bool own = !source.family.provider.ends_with(".GPTModelProvider");
  const int64_t said = interleaved(source.keys);
  const int64_t usual = !source.megatron() || own ? source.traits().window_pattern : 0;
  std::vector<bool> flags;
  for (size_t layer = 0; layer < num_layers; ++layer)
    flags.push_back(all_but_nth(static_cast<int64_t>(layer), said ? said : usual));
  if (!source.keys.find("window_attn_skip_freq")) return flags;
  const std::vector<bool> listed = flags_of(source.keys, "window_attn_skip_freq", num_layers, all_but_nth);
  if (said && listed != flags) throw source.keys.bad("interleaved_attn_pattern", "what window_attn_skip_freq says");
  return listed;
}

void read_windows(const SectionSource& source, SectionLayers& layers) {
  const std::optional<int64_t> window = window_size(source);
  if (!window) return;
  const std::vector<bool> flags = windowed(source, layers.windows.size());
  for (size_t layer = 0; layer < flags.size(); ++layer)
    if (flags[layer]) layers.windows[layer] = window;
  layers.mixed = true;
}

/// EXAONE's layers without a window know no positions, where others have one; no other family has such layers.
void read_positions(const SectionSource& source, SectionLayers& layers) {
  const bool may = source.traits().no_rope_without_window;
  if (source.keys.find("no_rope_freq")) {
    const auto nth = [](int64_t layer, int64_t n) { return (layer + 1) % n == 0; };
    layers.no_rope = flags_of(source.keys, "no_rope_freq", layers.no_rope.size(), nth);
    if (!may && holds(layers.no_rope, true))
      throw source.keys.not_computed("no_rope_freq", fmt::format("null ({})", source.family.title));
    layers.mixed |= holds(layers.no_rope, true);
  } else if (may && !source.megatron() && layers.mixed) {
    for (size_t layer = 0; layer < layers.no_rope.size(); ++layer) layers.no_rope[layer] = !layers.windows[layer];
  }
  if (!may || !layers.mixed) return;
  for (size_t layer = 0; layer < layers.no_rope.size(); ++layer)
    if (layers.no_rope[layer] == layers.windows[layer].has_value())
      throw source.keys.not_computed(
          "no_rope_freq", fmt::format("a flag for every layer without a window, and for no other; layer {} has {}",
                                      layer, layers.windows[layer] ? "one" : "none"));
}

void read_experts(const SectionSource& source, SectionLayers& layers) {
  const YamlSection& keys = source.keys;
  if (!keys.find("num_moe_experts")) {
    if (!source.megatron() && source.open(ConfigKind::kExperts)) keys.need("num_moe_experts");
    return;
  }
  if (!source.open(ConfigKind::kExperts))
    throw keys.not_computed("num_moe_experts", fmt::format("null ({})", source.family.title));
  const auto num_layers = static_cast<int64_t>(layers.moe.size());
  if (keys.size("num_moe_experts", kMaxExperts) * num_layers > kMaxExpertsOfModel)
    throw keys.bad("num_moe_experts", fmt::format("at most {} in all layers", kMaxExpertsOfModel));
  layers.moe.assign(layers.moe.size(), true);
  if (keys.find("moe_layer_freq"))
    layers.moe =
        flags_of(keys, "moe_layer_freq", layers.moe.size(), [](int64_t layer, int64_t n) { return layer % n == 0; });
}

}  // namespace

SectionLayers read_section_layers(const SectionSource& source) {
  const auto num_layers = static_cast<size_t>(source.keys.size("num_layers", kMaxLayers));
  SectionLayers layers{.windows = std::vector<std::optional<int64_t>>(num_layers),
                       .no_rope = std::vector<bool>(num_layers, false),
                       .moe = std::vector<bool>(num_layers, false)};
  if (source.traits().latent) {
    for (const char* key : {"window_size", "no_rope_freq"}) source.fixed(key, "null");
  } else {
    read_windows(source, layers);
    read_positions(source, layers);
  }
  read_experts(source, layers);
  return layers;
}

}  // namespace rialto::resolve
