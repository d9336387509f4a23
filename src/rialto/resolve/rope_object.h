// The object of rope_scaling or rope_parameters: one rotary embedding's type and numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/resolve/hf_config.h"

namespace rialto::resolve {

/// Every error is kInput and names the config's key and the object's.
class RopeObject {
 public:
  /// `json`: an object, or null for one that says nothing.
  RopeObject(const HfConfig& config, Json json);

  /// "rope_type", or "type" as transformers wrote before 4.43.
  std::string type() const;
  bool has(const char* key) const;  ///< and not null
  Json at(const char* key) const;   ///< null when absent
  double number(const char* key) const;
  double number_or(const char* key, double otherwise) const;  ///< also for 0, as Python's `or`
  std::optional<double> optional_number(const char* key) const;
  int64_t integer(const char* key, int64_t otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  std::vector<double> list(const char* key, size_t size) const;

  /// Every other key would change something, or says that the type is not what it seems.
  void allow_only(std::vector<std::string> keys) const;
  Error bad(const std::string& key, const Json& value, const std::string& want) const;

 private:
  const HfConfig& config_;
  Json json_;
};

}  // namespace rialto::resolve
