// Field rows from member pointers: one line per key gives reading, writing, help and the type's name.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rialto/base/schema.h"

namespace rialto::config {

// Values of each type that a section may hold. Reading throws kConfig with the node's place, what it got and wants.
inline void read_value(const Node& node, int64_t& out) { out = read_int(node); }
inline void read_value(const Node& node, double& out) { out = read_float(node); }
inline void read_value(const Node& node, bool& out) { out = read_bool(node); }
inline void read_value(const Node& node, std::string& out) {
  if (node.kind == Node::Kind::kNull)
    out.clear();  // Bridge writes null for a path that is not set
  else
    out = read_string(node);
}
/// One text, or a list of texts; null is the empty list.
void read_value(const Node& node, std::vector<std::string>& out);
/// One integer, or a list of integers; null is the empty list.
void read_value(const Node& node, std::vector<int64_t>& out);
template <class T>
void read_value(const Node& node, std::optional<T>& out) {
  if (node.kind == Node::Kind::kNull) {
    out.reset();
  } else {
    T value{};
    read_value(node, value);
    out = std::move(value);
  }
}

inline std::string write_value(int64_t value) { return write_scalar(value); }
inline std::string write_value(double value) { return write_scalar(value); }
inline std::string write_value(bool value) { return write_scalar(value); }
inline std::string write_value(const std::string& value) { return value.empty() ? "null" : write_scalar(value); }
std::string write_value(const std::vector<std::string>& value);
std::string write_value(const std::vector<int64_t>& value);
/// A text inside a flow list or map, where a comma or bracket would end it: anything but a plain path is quoted.
std::string write_flow_text(const std::string& text);
template <class T>
std::string write_value(const std::optional<T>& value) {
  return value ? write_value(*value) : "null";
}

inline std::string_view type_name(const int64_t&) { return "integer"; }
inline std::string_view type_name(const double&) { return "number"; }
inline std::string_view type_name(const bool&) { return "true or false"; }
inline std::string_view type_name(const std::string&) { return "text"; }
inline std::string_view type_name(const std::vector<std::string>&) { return "list of text"; }
inline std::string_view type_name(const std::vector<int64_t>&) { return "list of integers"; }
template <class T>
std::string_view type_name(const std::optional<T>&) {
  return type_name(T{});
}

/// The row of key `key`, kept in `member`.
template <class Section, class Value>
Field<Section> field(std::string_view key, Value Section::* member, std::string_view help) {
  return {key, help, [member](Section& section, const Node& node) { read_value(node, section.*member); },
          [member](const Section& section) { return write_value(section.*member); }, type_name(Section{}.*member)};
}

/// The same for a key that Megatron Bridge leaves unset by default: null is the default here.
template <class Section, class Value>
Field<Section> field_or_default(std::string_view key, Value Section::* member, std::string_view help) {
  Field<Section> row = field(key, member, help);
  row.read = [member, read = row.read](Section& section, const Node& node) {
    if (node.kind == Node::Kind::kNull)
      section.*member = Section{}.*member;
    else
      read(section, node);
  };
  return row;
}

}  // namespace rialto::config
