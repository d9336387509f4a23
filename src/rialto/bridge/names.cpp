// Matching and expanding tensor name patterns.
#include "rialto/bridge/names.h"

namespace rialto::bridge {
namespace {

constexpr size_t kMaxDigits = 9;

/// What a wildcard stands for; nothing for a list of names.
std::optional<int64_t> number_of(std::string_view group, const Indices& indices) {
  if (group == "l") return indices.layer;
  if (group == "e") return indices.expert;
  if (group == "m") return indices.depth;
  if (group == "L+m") return indices.num_layers + indices.depth;
  return {};
}

}  // namespace

std::optional<int64_t> take_number(std::string_view& text) {
  int64_t value = 0;
  size_t digits = 0;
  while (digits < text.size() && digits <= kMaxDigits && text[digits] >= '0' && text[digits] <= '9')
    value = value * 10 + (text[digits++] - '0');
  if (digits == 0 || digits > kMaxDigits || (digits > 1 && text.front() == '0')) return {};
  text.remove_prefix(digits);
  return value;
}

std::optional<Indices> match_pattern(std::string_view pattern, std::string_view text) {
  Indices indices;
  while (!pattern.empty()) {
    if (pattern.front() == '{') {
      const size_t end = pattern.find('}');
      if (end == std::string_view::npos) return {};
      const std::string_view group = pattern.substr(1, end - 1);
      const std::optional<int64_t> number = take_number(text);
      if (!number) return {};
      if (group == "l")
        indices.layer = *number;
      else if (group == "e")
        indices.expert = *number;
      else if (group == "m")
        indices.depth = *number;
      else if (group != "L+m")
        return {};
      pattern.remove_prefix(end + 1);
      continue;
    }
    if (text.empty() || text.front() != pattern.front()) return {};
    pattern.remove_prefix(1);
    text.remove_prefix(1);
  }
  if (!text.empty()) return {};
  return indices;
}

std::vector<std::string> expand_pattern(std::string_view pattern, const Indices& indices) {
  std::vector<std::string> names(1);
  while (!pattern.empty()) {
    const size_t open = pattern.find('{');
    const std::string_view plain = pattern.substr(0, open);
    for (std::string& name : names) name += plain;
    if (open == std::string_view::npos) break;
    const size_t close = pattern.find('}', open);
    std::string_view group = pattern.substr(open + 1, close - open - 1);
    pattern.remove_prefix(close + 1);
    if (const std::optional<int64_t> number = number_of(group, indices)) {
      for (std::string& name : names) name += std::to_string(*number);
      continue;
    }
    std::vector<std::string> longer;
    for (bool more = true; more;) {
      const size_t comma = group.find(',');
      for (const std::string& name : names) longer.push_back(name + std::string(group.substr(0, comma)));
      more = comma != std::string_view::npos;
      if (more) group.remove_prefix(comma + 1);
    }
    names = std::move(longer);
  }
  return names;
}

}  // namespace rialto::bridge
