// A config.json seen through a family's rows: every key is named by one, every value has the type its kind asks for.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/families/family.h"

namespace rialto::resolve {

class HfConfig {
 public:
  /// Throws kInput for a key that no row names (with the nearest one) and for a value that a kMustEqual row refuses.
  HfConfig(const Json& config, const families::Family& family, std::string where);

  bool has(bridge::ConfigKind kind) const;   ///< the family has a row of this kind
  bool says(bridge::ConfigKind kind) const;  ///< the file holds such a key, and not null

  /// The value of the kind's key, or the row's default when the file has none; null when it says null. Two spellings in
  /// one file must agree. Throws kInput when a required key is missing.
  Json value(bridge::ConfigKind kind) const;
  /// The JSON texts of the kind's row: the default, then what may stand in its place.
  std::vector<Json> alternatives(bridge::ConfigKind kind) const;

  // Typed values. Each throws kInput naming the key, the value and what is wanted.
  int64_t integer(bridge::ConfigKind kind, int64_t low, int64_t high) const;
  std::optional<int64_t> integer_or_null(bridge::ConfigKind kind, int64_t low, int64_t high) const;
  double number(bridge::ConfigKind kind, double low, double high) const;
  bool boolean(bridge::ConfigKind kind) const;
  std::string text(bridge::ConfigKind kind) const;

  /// An error about the kind's key.
  Error bad(bridge::ConfigKind kind, std::string_view what, const ErrorParts& parts = {}) const;
  const std::string& where() const { return where_; }
  const families::Family& family() const { return family_; }

 private:
  const bridge::ConfigRow& row_of(bridge::ConfigKind kind) const;
  void check_keys() const;

  const Json& config_;
  const families::Family& family_;
  std::string where_;
};

/// The JSON texts of a row, separated by '|' there.
std::vector<Json> accepted_values(const bridge::ConfigRow& row);

}  // namespace rialto::resolve
