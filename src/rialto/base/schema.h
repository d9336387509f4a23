// Field tables: one row per configuration key serves reading (YAML, overrides), writing, help and docs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rialto {

/// A parsed YAML/JSON document that remembers where each value stood.
struct Node {
  enum class Kind { kNull, kBool, kInt, kFloat, kString, kList, kMap };
  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;              ///< also set for kInt
  std::string text;               ///< the scalar as written
  std::vector<Node> items;        ///< list elements, or map values in order
  std::vector<std::string> keys;  ///< map keys, parallel to items
  std::string file;               ///< "" for overrides
  int line = 0;                   ///< from 1; 0 when unknown

  const Node* find(std::string_view key) const;
  std::string where() const;  ///< "file:line"
};

/// YAML 1.2 core scalars as OmegaConf reads them (1e-5 and 3e-4 are numbers). Throws kConfig with file:line.
/// Duplicate keys, anchors that expand without bound and documents over 4 MB are refused.
Node parse_yaml(std::string_view text, std::string_view file);
Node read_yaml_file(const std::string& path);
/// Parses the value of a `key=value` override ("true", "3", "[1,2]", "{a: 1}", text).
Node parse_yaml_value(std::string_view text);

/// True when two documents say the same; numbers are compared as numbers, maps in any order.
bool same_value(const Node& a, const Node& b);

/// One key of a section of type T.
template <class T>
struct Field {
  std::string_view key;                        ///< "global_batch_size"
  std::string_view help;                       ///< one sentence, with unit and default when not plain
  std::function<void(T&, const Node&)> read;   ///< throws kConfig naming what is wanted
  std::function<std::string(const T&)> write;  ///< the YAML text of the value
  std::string_view type = {};                  ///< "integer", "number", "true or false", "text"
};

// Readers for the common types; each throws Error{kConfig, node.where(), ...} with got and want.
bool read_bool(const Node& node);
int64_t read_int(const Node& node);
double read_float(const Node& node);
std::string read_string(const Node& node);
std::string write_scalar(bool value);
std::string write_scalar(int64_t value);
std::string write_scalar(double value);              ///< shortest text that reads back to the same double
std::string write_scalar(const std::string& value);  ///< quoted when YAML would read something else

}  // namespace rialto
