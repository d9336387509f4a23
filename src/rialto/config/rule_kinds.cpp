// Checks that many rules share.
#include "rialto/config/rule_kinds.h"

#include <algorithm>

#include <fmt/format.h>

namespace rialto::config {

Rule integer_rule(std::string_view id, std::string_view key, IntegerOf value, int64_t low, int64_t high) {
  const std::string says = high == kNoLimit ? fmt::format("at least {}", low) : fmt::format("{} to {}", low, high);
  const auto check = [value = std::move(value), low, high, says](const RunConfig& config) -> std::optional<Finding> {
    const std::optional<int64_t> got = value(config);
    if (!got || (*got >= low && *got <= high)) return {};
    return Finding{*got < low ? "too small" : "too large", {.got = std::to_string(*got), .want = says}};
  };
  return {id, key, says, check};
}

Rule number_rule(std::string_view id, std::string_view key, NumberOf value, double low, double high) {
  const std::string says = fmt::format("{} to {}", low, high);
  const auto check = [value = std::move(value), low, high, says](const RunConfig& config) -> std::optional<Finding> {
    const double got = value(config);
    if (got >= low && got <= high) return {};
    return Finding{"out of range", {.got = fmt::format("{}", got), .want = says}};
  };
  return {id, key, says, check};
}

Rule name_rule(std::string_view id, std::string_view key, TextOf value, std::vector<std::string> names) {
  const std::string says = fmt::format("{}", fmt::join(names, ", "));
  const auto check = [value = std::move(value), names, says](const RunConfig& config) -> std::optional<Finding> {
    const std::string got = value(config);
    if (std::find(names.begin(), names.end(), got) != names.end()) return {};
    const std::string near = nearest(got, names);
    return Finding{"unknown name",
                   {.got = fmt::format("'{}'", got),
                    .want = says,
                    .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)}};
  };
  return {id, key, says, check};
}

}  // namespace rialto::config
