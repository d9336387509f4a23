// JSON text as Python's json module writes it, so that files made by HF tools and by us have no needless differences.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "rialto/base/json.h"

namespace rialto {

namespace {

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char escape[8];
          std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
          out += escape;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

/// Python's repr(float): shortest digits; exponent form below 1e-4 and from 1e16 on.
std::string float_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  const double magnitude = std::fabs(value);
  char buffer[512];
  // A whole number past 64 bits can only have been read from an integer (int(1e30) as a "no limit" is common in HF
  // files); parse_json keeps it only when it is exact.
  if (magnitude >= 0x1p64 && magnitude < 1e100) {
    std::snprintf(buffer, sizeof buffer, "%.0f", value);
    return buffer;
  }
  const bool plain = value == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string text(buffer, end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

void append(std::string& out, const Json& value, int indent, int depth) {
  const auto new_line = [&](int level) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(indent) * static_cast<size_t>(level), ' ');
  };
  const std::string_view separator = indent < 0 ? ", " : ",";
  bool first = true;
  switch (value.type()) {
    case Json::value_t::object:
      if (value.empty()) {
        out += "{}";
        return;
      }
      out += '{';
      for (const auto& [key, member] : value.get_ref<const Json::object_t&>()) {
        if (!first) out += separator;
        first = false;
        new_line(depth + 1);
        append_string(out, key);
        out += ": ";
        append(out, member, indent, depth + 1);
      }
      new_line(depth);
      out += '}';
      return;
    case Json::value_t::array:
      if (value.empty()) {
        out += "[]";
        return;
      }
      out += '[';
      for (const Json& item : value.get_ref<const Json::array_t&>()) {
        if (!first) out += separator;
        first = false;
        new_line(depth + 1);
        append(out, item, indent, depth + 1);
      }
      new_line(depth);
      out += ']';
      return;
    case Json::value_t::string:
      append_string(out, value.get_ref<const std::string&>());
      return;
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case Json::value_t::number_integer:
      out += std::to_string(value.get<int64_t>());
      return;
    case Json::value_t::number_unsigned:
      out += std::to_string(value.get<uint64_t>());
      return;
    case Json::value_t::number_float:
      out += float_text(value.get<double>());
      return;
    default:
      out += "null";
      return;
  }
}

}  // namespace

std::string to_python_json(const Json& value, int indent) {
  std::string out;
  append(out, value, indent, 0);
  return out;
}

}  // namespace rialto
