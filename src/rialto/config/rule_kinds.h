// Rules that are one line of the table: a range of an integer or of a number, a name out of a list. Inside config only.
#pragma once

#include <cstdint>

#include "rialto/config/rules.h"

namespace rialto::config {

using IntegerOf = std::function<std::optional<int64_t>(const RunConfig&)>;
using NumberOf = std::function<double(const RunConfig&)>;
using TextOf = std::function<std::string(const RunConfig&)>;

inline constexpr int64_t kNoLimit = INT64_MAX;

/// Unset is in order.
Rule integer_rule(std::string_view id, std::string_view key, IntegerOf value, int64_t low, int64_t high = kNoLimit);
/// NaN is out of every range.
Rule number_rule(std::string_view id, std::string_view key, NumberOf value, double low, double high);
Rule name_rule(std::string_view id, std::string_view key, TextOf value, std::vector<std::string> names);

}  // namespace rialto::config
