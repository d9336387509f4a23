// Which layers of a config.json are of which kind.
#include "rialto/resolve/hf_layers.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/limits.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

/// A list with one entry per layer.
Json list_of(const HfConfig& config, ConfigKind kind, size_t num_layers) {
  const Json list = config.value(kind);
  if (!list.is_array() || list.size() != num_layers)
    throw config.bad(kind, "does not fit",
                     {.got = list.dump(), .want = fmt::format("a list of {} layers", num_layers)});
  return list;
}

std::vector<bool> windowed_by_list(const HfConfig& config, size_t num_layers) {
  const Json types = list_of(config, ConfigKind::kLayerTypes, num_layers);
  std::vector<bool> windowed(num_layers, false);
  for (size_t layer = 0; layer < num_layers; ++layer) {
    if (types[layer] != "full_attention" && types[layer] != "sliding_attention")
      throw config.bad(ConfigKind::kLayerTypes,
                       fmt::format("has an entry that is not computed here at layer {}", layer),
                       {.got = types[layer].dump(), .want = "\"full_attention\" or \"sliding_attention\""});
    windowed[layer] = types[layer] == "sliding_attention";
  }
  return windowed;
}

/// Without a list: from a certain layer on (Qwen), all but every Nth (Gemma, EXAONE, GPT-OSS), or all (Mistral).
std::vector<bool> windowed_by_rule(const HfConfig& config, size_t num_layers) {
  int64_t first = 0, pattern = config.family().traits.window_pattern;
  if (config.has(ConfigKind::kMaxWindowLayers)) first = config.integer(ConfigKind::kMaxWindowLayers, 0, INT64_MAX);
  if (config.has(ConfigKind::kWindowPattern) && config.value(ConfigKind::kWindowPattern).is_string())
    throw config.bad(ConfigKind::kWindowPattern, "is a pattern of letters, which layer_types must spell out",
                     {.got = config.text(ConfigKind::kWindowPattern)});
  if (config.has(ConfigKind::kWindowPattern))
    pattern = config.integer_or_null(ConfigKind::kWindowPattern, 0, kMaxLayers).value_or(0);
  std::vector<bool> windowed(num_layers, false);
  for (size_t layer = 0; layer < num_layers; ++layer) {
    const auto number = static_cast<int64_t>(layer);
    windowed[layer] = number >= first && (pattern == 0 || (number + 1) % pattern != 0);
  }
  return windowed;
}

/// The list of layers with experts, when the config has one.
std::optional<std::vector<bool>> moe_by_list(const HfConfig& config, size_t num_layers) {
  if (!config.has(ConfigKind::kMlpTypes) || !config.says(ConfigKind::kMlpTypes)) return {};
  const Json types = list_of(config, ConfigKind::kMlpTypes, num_layers);
  std::vector<bool> moe;
  for (const Json& type : types) {
    if (type != "sparse" && type != "dense" && !type.is_boolean())
      throw config.bad(ConfigKind::kMlpTypes, "has an entry that is not known",
                       {.got = type.dump(), .want = "\"dense\" or \"sparse\""});
    moe.push_back(type == "sparse" || type == true);
  }
  return moe;
}

int64_t number_or(const HfConfig& config, ConfigKind kind, int64_t low, int64_t high, int64_t otherwise) {
  return config.has(kind) ? config.integer_or_null(kind, low, high).value_or(otherwise) : otherwise;
}

/// transformers asks layer_types and one window for all; other programs this list. Both must compute the same.
void check_window_sizes(const HfConfig& config, const std::vector<std::optional<int64_t>>& windows) {
  if (!config.has(ConfigKind::kWindowSizes) || !config.says(ConfigKind::kWindowSizes)) return;
  const Json sizes = list_of(config, ConfigKind::kWindowSizes, windows.size());
  for (size_t layer = 0; layer < windows.size(); ++layer)
    if (sizes[layer] != windows[layer].value_or(0))
      throw config.bad(ConfigKind::kWindowSizes, fmt::format("disagrees about layer {}", layer),
                       {.got = sizes[layer].dump(),
                        .want = fmt::format("{}, as the other keys say (0: no window)", windows[layer].value_or(0))});
}

void check_clamps(const HfConfig& config, size_t num_layers) {
  if (!config.has(ConfigKind::kLayerClamps) || !config.says(ConfigKind::kLayerClamps)) return;
  const Json clamps = list_of(config, ConfigKind::kLayerClamps, num_layers);
  for (size_t layer = 0; layer < num_layers; ++layer)
    if (!clamps[layer].is_number() || clamps[layer] != 0.0)
      throw config.bad(ConfigKind::kLayerClamps, fmt::format("clamps layer {}, which is not computed here", layer),
                       {.got = clamps[layer].dump(), .want = "0 (no clamp) for every layer, or null"});
}

/// Windows by layer_types or by the rule.
std::vector<std::optional<int64_t>> windows_of(const HfConfig& config, int64_t num_layers) {
  std::vector<std::optional<int64_t>> windows(static_cast<size_t>(num_layers));
  if (!config.has(ConfigKind::kWindow)) return windows;
  std::optional<int64_t> window = config.integer_or_null(ConfigKind::kWindow, 1, kMaxPositions);
  if (config.has(ConfigKind::kUseWindow) && !config.boolean(ConfigKind::kUseWindow)) window.reset();
  const bool listed = config.has(ConfigKind::kLayerTypes) && config.says(ConfigKind::kLayerTypes);
  if (!listed && !window) return windows;
  const std::vector<bool> windowed =
      listed ? windowed_by_list(config, windows.size()) : windowed_by_rule(config, windows.size());
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    if (!windowed[layer]) continue;
    if (!window)
      throw config.bad(ConfigKind::kLayerTypes, fmt::format("gives layer {} a window, but no window is in use", layer),
                       {.hint = "use_sliding_window and sliding_window say whether there is one, and how wide"});
    windows[layer] = window;
  }
  return windows;
}

}  // namespace

std::vector<std::optional<int64_t>> read_windows(const HfConfig& config, int64_t num_layers) {
  std::vector<std::optional<int64_t>> windows = windows_of(config, num_layers);
  check_window_sizes(config, windows);
  return windows;
}

std::vector<bool> read_moe_layers(const HfConfig& config, int64_t num_layers) {
  std::vector<bool> moe(static_cast<size_t>(num_layers), false);
  check_clamps(config, moe.size());
  if (!config.has(ConfigKind::kExperts)) return moe;
  if (const auto listed = moe_by_list(config, moe.size())) return *listed;
  const int64_t first = std::max(number_or(config, ConfigKind::kFirstDense, 0, kMaxLayers, 0),
                                 number_or(config, ConfigKind::kFirstMoe, 0, kMaxLayers, 0));
  const int64_t last = number_or(config, ConfigKind::kLastMoe, -1, kMaxLayers, -1);
  const int64_t step = number_or(config, ConfigKind::kSparseStep, 1, kMaxLayers, 1);
  for (int64_t layer = first; layer < num_layers && (last < 0 || layer <= last); ++layer)
    moe[static_cast<size_t>(layer)] = (layer + 1) % step == 0;
  if (!config.has(ConfigKind::kDenseLayers)) return moe;
  const Json dense = config.value(ConfigKind::kDenseLayers);
  if (dense.is_null()) return moe;
  for (const Json& layer : dense.is_array() ? dense : Json::array({dense})) {
    if (!layer.is_number_integer() || layer.get<int64_t>() < 0 || layer.get<int64_t>() >= num_layers)
      throw config.bad(ConfigKind::kDenseLayers, "does not fit",
                       {.got = dense.dump(), .want = "a list of layer numbers"});
    moe[layer.get<size_t>()] = false;
  }
  return moe;
}

}  // namespace rialto::resolve
