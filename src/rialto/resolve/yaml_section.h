// Typed values of one section of a YAML file. Every error names file, line and key.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"

namespace rialto::resolve {

/// Reads one map. Every reader throws Wording::kind with file, line and key for a value of another type or out of
/// range.
class YamlSection {
 public:
  /// What a refused value is told. `missing`: of a key that must be there.
  struct Wording {
    ErrorKind kind = ErrorKind::kInput;
    std::string missing = "is missing and cannot be derived", hint = {};
  };
  /// Throws when `node` is not a map. `name` is for messages: "model".
  YamlSection(const Node& node, std::string name) : YamlSection(node, std::move(name), {}) {}
  YamlSection(const Node& node, std::string name, Wording wording);

  const Node* find(std::string_view key) const;  ///< nullptr when absent or null
  const Node& need(std::string_view key) const;  ///< throws Wording::missing when absent or null

  int64_t size(std::string_view key, int64_t high) const;  ///< 1 to high
  /// `otherwise` when absent or null.
  int64_t size_or(std::string_view key, int64_t high, int64_t otherwise) const;
  /// low to high, both included; `otherwise` when absent or null.
  double number_or(std::string_view key, double low, double high, double otherwise) const;
  /// `otherwise` when absent or null.
  bool flag_or(std::string_view key, bool otherwise) const;
  /// The last part of a Python name: of `{_target_: torch.bfloat16}`, or of the text itself.
  std::string target(std::string_view key) const;

  /// The key must say `text` ("null", "false", "0", a word), or may be absent when `optional`.
  void require(std::string_view key, std::string_view text, bool optional) const;

  /// "'model.key' cannot be used", at a node of its value: for the caller to throw.
  Error bad(const Node& at, std::string_view key, std::string_view want) const;
  /// The same of the key's value, or of the section where there is none.
  Error bad(std::string_view key, std::string_view want) const;
  /// The key's value asks for another model than `want` makes.
  Error not_computed(std::string_view key, std::string_view want) const;

  /// True when some function above has been asked about the key.
  bool asked(std::string_view key) const { return asked_.contains(key); }
  const Node& node() const { return node_; }

 private:
  const Node* look(std::string_view key) const;

  const Node& node_;
  std::string name_;
  Wording wording_;
  mutable std::set<std::string, std::less<>> asked_;
};

/// "a list of 4", "null", or the scalar as written.
std::string text_of(const Node& node);

/// True when a scalar has this value; numbers are compared as numbers.
bool says(const Node& node, std::string_view text);

}  // namespace rialto::resolve
