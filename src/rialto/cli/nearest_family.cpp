// Comparing a model with every family of the registry.
#include "rialto/cli/nearest_family.h"

#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/bridge/names.h"
#include "rialto/cli/tensor_patterns.h"

namespace rialto::cli {
namespace {

using bridge::Op;
using bridge::ParamRow;
using bridge::When;

constexpr std::string_view kLayerNative = "decoder.layers.{l}.", kLayerGroup = "{l}.";

/// The patterns of tensors that a row's pattern names: those of its tensors of layer 0, expert 0 and depth 0.
std::vector<std::string> patterns_of(std::string_view hf, int64_t num_layers) {
  std::vector<std::string> patterns =
      bridge::expand_pattern(hf, {.layer = 0, .expert = 0, .depth = 0, .num_layers = num_layers});
  for (std::string& pattern : patterns) pattern = pattern_of(pattern, num_layers).pattern;
  return patterns;
}

bool may_be_absent(const ParamRow& row) {
  return row.when == When::kAlternative || row.when == When::kTied || row.op == Op::kRepeat ||
         row.native.starts_with("mtp.");
}

/// From 0, nothing in common, to 1, the same. What a model has and no row names weighs more than what rows name and the
/// model has not: such rows do no harm.
double likeness(size_t common, size_t unnamed, size_t idle) {
  const double unlike = static_cast<double>(unnamed) + 0.25 * static_cast<double>(idle);
  return common == 0 ? 0 : static_cast<double>(common) / (static_cast<double>(common) + unlike);
}

double tensor_likeness(const std::set<std::string>& patterns, const families::Family& family, int64_t num_layers) {
  std::set<std::string> wanted, common;
  for (const RowName& row : row_names(family, num_layers)) {
    const bool held = patterns.contains(row.pattern);
    if (held) common.insert(row.pattern);
    if (held || !row.may_be_absent) wanted.insert(row.pattern);
  }
  return likeness(common.size(), patterns.size() - common.size(), wanted.size() - common.size());
}

/// Keys that any family may have say nothing.
double key_likeness(const Json& config, const families::Family& family) {
  std::set<std::string_view> unnamed;
  for (const auto& [key, value] : config.items()) unnamed.insert(key);
  for (const bridge::ConfigRow& row : families::common_config()) unnamed.erase(row.key);
  size_t common = 0;
  for (const bridge::ConfigRow& row : family.config) {
    common += config.contains(row.key);
    unnamed.erase(row.key);
  }
  return likeness(common, unnamed.size(), family.config.size() - common);
}

}  // namespace

std::vector<RowName> row_names(const families::Family& family, int64_t num_layers) {
  std::vector<RowName> names;
  const auto add = [&](std::string_view hf, const ParamRow& row, std::string native, bool absent) {
    for (std::string& pattern : patterns_of(hf, num_layers))
      names.push_back({std::move(pattern), std::string(row.hf), native, absent});
  };
  for (const ParamRow& row : family.params) {
    if (row.op != Op::kLayerPrefix) {
      add(row.hf, row, std::string(row.native), may_be_absent(row));
      continue;
    }
    for (const ParamRow& layer : family.params) {
      const size_t group = layer.hf.find(kLayerGroup);
      if (!layer.native.starts_with(kLayerNative) || group == std::string_view::npos) continue;
      add(std::string(row.hf) + std::string(layer.hf.substr(group + kLayerGroup.size())), row,
          std::string(row.native) + std::string(layer.native.substr(kLayerNative.size())), true);
    }
  }
  return names;
}

std::set<std::string> ignored_patterns(const families::Family& family, int64_t num_layers) {
  std::set<std::string> patterns;
  for (const bridge::IgnoredRow& row : family.ignored)
    for (std::string& pattern : patterns_of(row.hf, num_layers)) patterns.insert(std::move(pattern));
  return patterns;
}

const families::Family& nearest_family(const std::set<std::string>& patterns, const Json& config,
                                       const std::string& architecture, int64_t num_layers) {
  double best = -1;
  std::vector<std::string> equals;  // architectures of the families that are as near
  for (const families::Family* family : families::registry()) {
    const double like = tensor_likeness(patterns, *family, num_layers) + key_likeness(config, *family);
    if (like < best) continue;
    if (like > best) equals.clear();
    best = like;
    equals.insert(equals.end(), family->architectures.begin(), family->architectures.end());
  }
  const std::string near = nearest(architecture, equals);
  return *families::find_by_architecture(near.empty() ? equals.front() : near);
}

}  // namespace rialto::cli
