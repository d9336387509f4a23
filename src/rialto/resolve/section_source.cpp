// Keys that a family leaves open, and keys that it fixes.
#include "rialto/resolve/section_source.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/limits.h"

namespace rialto::resolve {

using bridge::ConfigKind;
using bridge::ConfigRow;

bool SectionSource::open(ConfigKind kind) const {
  return std::any_of(family.config.begin(), family.config.end(),
                     [&](const ConfigRow& row) { return row.kind == kind; });
}

Json SectionSource::usual(ConfigKind kind) const {
  for (const ConfigRow& row : family.config)
    if (row.kind == kind) {
      const std::vector<Json> values = accepted_values(row);
      return values.empty() ? Json() : values.front();
    }
  return {};
}

void SectionSource::fixed(std::string_view key, std::string_view text, bool said) const {
  keys.require(key, text, !(said && megatron()));
}

bool SectionSource::flag(std::string_view key, bool open, bool usual) const {
  const bool value = keys.flag_or(key, megatron() ? false : usual);
  if (!open && value != usual) throw keys.not_computed(key, fmt::format("{} ({})", usual, family.title));
  return value;
}

int64_t SectionSource::size_if(ConfigKind kind, std::string_view key, int64_t high) const {
  const Node* found = keys.find(key);
  if (!found || says(*found, "0")) return 0;
  if (!open(kind)) throw keys.not_computed(key, fmt::format("null ({})", family.title));
  return keys.size(key, high);
}

std::optional<double> SectionSource::number_if(ConfigKind kind, std::string_view key, double low,
                                               double neutral) const {
  if (!keys.find(key)) return {};
  const double value = keys.number_or(key, low, kLargest, neutral);
  if (value == neutral) return {};
  if (!open(kind)) throw keys.not_computed(key, fmt::format("null ({})", family.title));
  return value;
}

}  // namespace rialto::resolve
