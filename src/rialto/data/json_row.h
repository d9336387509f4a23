// The text of one JSON line, or what is wrong with the line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rialto::data {

/// Kinds of bad rows, as reports count them.
namespace fault {
inline constexpr std::string_view kNotUtf8 = "not UTF-8", kCutOff = "cut off", kNotJson = "not JSON",
                                  kMoreValues = "more than one value", kDuplicateKey = "duplicate key",
                                  kTooDeep = "nested too deeply", kNumber = "number out of range",
                                  kNotObject = "not an object", kNoKey = "no such key", kNull = "null",
                                  kNotText = "not text", kTooLong = "too long";
}  // namespace fault

struct RowFault {
  std::string_view kind;
  std::string what;   ///< for people
  size_t column = 0;  ///< bytes into the line, from 1; 0: the whole row
};

/// Strict JSON, as parse_json reads it: an object with text under `key`, which goes to `out`. Nothing else of the line
/// is kept. Thread-safe.
std::optional<RowFault> text_of_row(std::string_view line, const std::string& key, std::string& out);

}  // namespace rialto::data
