// Typed values of one section of a run_config.yaml. Every error is kInput and names file, line and key.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"

namespace rialto::resolve {

class YamlSection {
 public:
  /// Throws kInput when `node` is not a map. `name` is for messages: "model".
  YamlSection(const Node& node, std::string name);

  const Node* find(std::string_view key) const;  ///< nullptr when absent or null
  const Node& need(std::string_view key) const;

  int64_t size(std::string_view key, int64_t high) const;  ///< 1 to high
  int64_t size_or(std::string_view key, int64_t high, int64_t otherwise) const;
  double number_or(std::string_view key, double low, double high, double otherwise) const;
  bool flag_or(std::string_view key, bool otherwise) const;
  /// The last part of a Python name: of `{_target_: torch.bfloat16}`, or of the text itself.
  std::string target(std::string_view key) const;

  /// The key must say `text` ("null", "false", "0", a word), or may be absent when `optional`.
  void require(std::string_view key, std::string_view text, bool optional) const;

  Error bad(const Node& at, std::string_view key, std::string_view want) const;

 private:
  const Node& node_;
  std::string name_;
};

/// True when a scalar has this value; numbers are compared as numbers.
bool says(const Node& node, std::string_view text);

}  // namespace rialto::resolve
