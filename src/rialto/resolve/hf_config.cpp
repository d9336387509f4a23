// Reading a config.json by rows.
#include "rialto/resolve/hf_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using bridge::ConfigRow;

const ConfigRow* find_row(std::span<const ConfigRow> rows, std::string_view key) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const ConfigRow& row) { return row.key == key; });
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

std::vector<Json> accepted_values(const ConfigRow& row) {
  std::vector<Json> values;
  for (std::string_view left = row.value; !left.empty();) {
    const size_t bar = std::min(left.find('|'), left.size());
    values.push_back(parse_json(left.substr(0, bar), row.key));
    left.remove_prefix(std::min(bar + 1, left.size()));
  }
  return values;
}

HfConfig::HfConfig(const Json& config, const families::Family& family, std::string where)
    : config_(config), family_(family), where_(std::move(where)) {
  check_keys();
}

void HfConfig::check_keys() const {
  for (const auto& [key, value] : config_.items()) {
    const ConfigRow* row = find_row(family_.config, key);
    if (!row) row = find_row(families::common_config(), key);
    if (!row) {
      std::vector<std::string> known;
      for (const ConfigRow& each : family_.config) known.emplace_back(each.key);
      for (const ConfigRow& each : families::common_config()) known.emplace_back(each.key);
      const std::string near = nearest(key, known);
      throw Error(
          ErrorKind::kInput, where_,
          fmt::format("key '{}' is not known for {}; what it changes cannot be told", key, family_.title),
          {.got = value.dump(), .hint = near.empty() ? "" : fmt::format("the nearest known key is '{}'", near)});
    }
    if (row->kind != ConfigKind::kMustEqual) continue;
    const std::vector<Json> accepted = accepted_values(*row);
    if (std::find(accepted.begin(), accepted.end(), value) == accepted.end())
      throw Error(ErrorKind::kInput, where_,
                  fmt::format("'{}' asks for something that {} does not compute here", key, family_.title),
                  {.got = value.dump(), .want = accepted.front().dump()});
  }
}

const ConfigRow& HfConfig::row_of(ConfigKind kind) const {
  for (const ConfigRow& row : family_.config)
    if (row.kind == kind) return row;
  throw Error(ErrorKind::kInternal, where_,
              fmt::format("family '{}' has no row of kind {}", family_.name, static_cast<int>(kind)));
}

bool HfConfig::has(ConfigKind kind) const {
  return std::any_of(family_.config.begin(), family_.config.end(),
                     [&](const ConfigRow& row) { return row.kind == kind; });
}

bool HfConfig::says(ConfigKind kind) const {
  return std::any_of(family_.config.begin(), family_.config.end(), [&](const ConfigRow& row) {
    return row.kind == kind && config_.contains(row.key) && !config_.at(std::string(row.key)).is_null();
  });
}

Json HfConfig::value(ConfigKind kind) const {
  const ConfigRow* found = nullptr;
  bool null = false;
  for (const ConfigRow& row : family_.config) {
    if (row.kind != kind) continue;
    const auto at = config_.find(row.key);
    if (at == config_.end()) continue;
    if (at->is_null()) {
      null = true;
      continue;
    }
    if (found && config_.at(std::string(found->key)) != *at)
      throw Error(ErrorKind::kInput, where_, fmt::format("'{}' and '{}' disagree", found->key, row.key),
                  {.got = fmt::format("{} and {}", config_.at(std::string(found->key)).dump(), at->dump()),
                   .hint = "keep the one that is meant"});
    found = &row;
  }
  if (found) return config_.at(std::string(found->key));
  const ConfigRow& row = row_of(kind);
  if (row.value.empty())
    throw Error(ErrorKind::kInput, where_, fmt::format("key '{}' is missing", row.key),
                {.want = fmt::format("every size of a {} model", family_.title)});
  return null ? Json() : accepted_values(row).front();
}

std::vector<Json> HfConfig::alternatives(ConfigKind kind) const { return accepted_values(row_of(kind)); }

Error HfConfig::bad(ConfigKind kind, std::string_view what, const ErrorParts& parts) const {
  std::string_view key = row_of(kind).key;
  for (const ConfigRow& row : family_.config)
    if (row.kind == kind && config_.contains(row.key)) key = row.key;
  return Error(ErrorKind::kInput, where_, fmt::format("'{}' {}", key, what), parts);
}

int64_t HfConfig::integer(ConfigKind kind, int64_t low, int64_t high) const {
  const Json json = value(kind);
  const bool fits = json.is_number_integer() && !(json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX);
  if (!fits || json.get<int64_t>() < low || json.get<int64_t>() > high)
    throw bad(kind, "cannot be used", {.got = json.dump(), .want = fmt::format("an integer from {} to {}", low, high)});
  return json.get<int64_t>();
}

std::optional<int64_t> HfConfig::integer_or_null(ConfigKind kind, int64_t low, int64_t high) const {
  if (value(kind).is_null()) return {};
  return integer(kind, low, high);
}

double HfConfig::number(ConfigKind kind, double low, double high) const {
  const Json json = value(kind);
  if (!json.is_number() || !(json.get<double>() >= low && json.get<double>() <= high))
    throw bad(kind, "cannot be used", {.got = json.dump(), .want = fmt::format("a number from {} to {}", low, high)});
  return json.get<double>();
}

bool HfConfig::boolean(ConfigKind kind) const {
  const Json json = value(kind);
  if (!json.is_boolean()) throw bad(kind, "cannot be used", {.got = json.dump(), .want = "true or false"});
  return json.get<bool>();
}

std::string HfConfig::text(ConfigKind kind) const {
  const Json json = value(kind);
  if (!json.is_string()) throw bad(kind, "cannot be used", {.got = json.dump(), .want = "a string"});
  return json.get<std::string>();
}

}  // namespace rialto::resolve
