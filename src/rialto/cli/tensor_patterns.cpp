// Numbers in tensor names.
#include "rialto/cli/tensor_patterns.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/bridge/names.h"

namespace rialto::cli {
namespace {

/// -1 for anything but a number.
int64_t number_of(std::string_view text) {
  const std::optional<int64_t> number = bridge::take_number(text);
  return text.empty() ? number.value_or(-1) : -1;
}

/// "0-3, 5".
std::string ranges_text(const std::set<int64_t>& numbers) {
  std::vector<std::string> parts;
  for (auto at = numbers.begin(); at != numbers.end();) {
    const int64_t first = *at;
    int64_t last = first;
    while (++at != numbers.end() && *at == last + 1) ++last;
    parts.push_back(first == last ? fmt::to_string(first) : fmt::format("{}-{}", first, last));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// Which numbers tensors of one pattern have: layers with the same experts are said together.
std::string numbers_text(const std::string& pattern, const std::map<int64_t, std::set<int64_t>>& experts_of) {
  const char* letter = pattern.find("{l}") != std::string::npos ? "l" : "m";
  std::map<std::set<int64_t>, std::set<int64_t>> layers_of;
  std::vector<std::set<int64_t>> order;
  for (const auto& [layer, experts] : experts_of) {
    if (layer < 0) return "";
    if (layers_of[experts].empty()) order.push_back(experts);
    layers_of[experts].insert(layer);
  }
  std::vector<std::string> parts;
  for (const std::set<int64_t>& experts : order) {
    const std::string layers = fmt::format("{} {}", letter, ranges_text(layers_of[experts]));
    parts.push_back(*experts.begin() < 0 ? layers : fmt::format("{}: e {}", layers, ranges_text(experts)));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace

NumberedName pattern_of(std::string_view name, int64_t num_layers) {
  NumberedName result;
  for (size_t at = 0; at <= name.size();) {
    const size_t dot = std::min(name.find('.', at), name.size());
    const std::string_view part = name.substr(at, dot - at);
    const int64_t number = number_of(part);
    if (number >= 0 && result.first < 0) {
      const bool block = result.pattern.find("mtp") != std::string::npos, behind = number >= num_layers;
      result.first = !block && behind ? number - num_layers : number;
      result.pattern += block ? "{m}" : behind ? "{L+m}" : "{l}";
    } else if (number >= 0 && result.second < 0) {
      result.second = number;
      result.pattern += "{e}";
    } else {
      result.pattern += part;
    }
    if (dot < name.size()) result.pattern += '.';
    at = dot + 1;
  }
  return result;
}

std::vector<TensorGroup> group_by_pattern(const std::vector<bridge::SourceTensor>& tensors, int64_t num_layers,
                                          bool with_shapes) {
  std::vector<TensorGroup> groups;
  std::map<std::string, size_t> index_of;
  std::vector<std::map<int64_t, std::set<int64_t>>> numbers;
  for (const bridge::SourceTensor& tensor : tensors) {
    const NumberedName name = pattern_of(tensor.name, num_layers);
    const auto [at, fresh] = index_of.try_emplace(name.pattern, groups.size());
    if (fresh) {
      groups.push_back({.pattern = name.pattern, .numbers = {}, .shapes = {}, .names = {}});
      numbers.emplace_back();
    }
    TensorGroup& group = groups[at->second];
    group.names.push_back(tensor.name);
    numbers[at->second][name.first].insert(name.second);
    if (with_shapes && std::find(group.shapes.begin(), group.shapes.end(), tensor.shape) == group.shapes.end())
      group.shapes.push_back(tensor.shape);
  }
  for (size_t i = 0; i < groups.size(); ++i) groups[i].numbers = numbers_text(groups[i].pattern, numbers[i]);
  return groups;
}

}  // namespace rialto::cli
