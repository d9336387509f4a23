// Plain scalars, typed readers with one kind of message, and scalars as YAML text.
#include "rialto/base/schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "rialto/base/error.h"
#include "rialto/base/scalar.h"

namespace rialto {

namespace {

template <size_t N>
bool one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 5> kNulls = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 3> kTrue = {"true", "True", "TRUE"};
constexpr std::array<std::string_view, 3> kFalse = {"false", "False", "FALSE"};
constexpr std::array<std::string_view, 3> kInf = {".inf", ".Inf", ".INF"};
constexpr std::array<std::string_view, 3> kNan = {".nan", ".NaN", ".NAN"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Digits with "_" between them, as OmegaConf takes them; the text without "_", or "" when it is something else.
std::string digits_of(std::string_view text) {
  if (text.empty() || !is_digit(text[0])) return {};
  std::string digits;
  for (const char c : text) {
    if (is_digit(c))
      digits += c;
    else if (c != '_')
      return {};
  }
  return digits;
}

/// [sign] digits [. digits] [e [sign] digits] with at least one digit before the exponent and a "." or an exponent.
bool looks_like_float(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  size_t i = 0, digits = 0;
  bool dot = false;
  for (; i < text.size() && (is_digit(text[i]) || text[i] == '.' || text[i] == '_'); ++i) {
    if (text[i] == '.') {
      if (dot) return false;
      dot = true;
    } else if (text[i] == '_') {
      if (digits == 0) return false;
    } else {
      ++digits;
    }
  }
  if (digits == 0) return false;
  if (i == text.size()) return dot;
  if (text[i] != 'e' && text[i] != 'E') return false;
  ++i;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
  return i < text.size() && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i), text.end(), is_digit);
}

void set_int(Node& node, std::string_view digits, bool negative, int base) {
  uint64_t magnitude = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  constexpr uint64_t kLimit = uint64_t{1} << 63;
  if (code != std::errc() || end != digits.data() + digits.size() || magnitude > kLimit ||
      (magnitude == kLimit && !negative)) {
    throw Error(ErrorKind::kConfig, node.where(), "a whole number does not fit 64 bits", {.got = node.text});
  }
  node.kind = Node::Kind::kInt;
  node.integer = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
  node.number = static_cast<double>(node.integer);
}

bool try_int(Node& node, std::string_view text) {
  const bool negative = text[0] == '-';
  if (text[0] == '+' || text[0] == '-') text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
    const bool hex = text[1] == 'x';
    const std::string_view digits = text.substr(2);
    if (digits.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "01234567") != digits.npos) return false;
    set_int(node, digits, negative, hex ? 16 : 8);
    return true;
  }
  const std::string digits = digits_of(text);
  if (digits.empty()) return false;
  if (digits.size() > 1 && digits[0] == '0') {
    throw Error(ErrorKind::kConfig, node.where(), "a leading zero means octal to some readers and nothing to others",
                {.got = node.text, .hint = "drop the zero, or quote the text"});
  }
  set_int(node, digits, negative, 10);
  return true;
}

bool try_float(Node& node, std::string_view text) {
  std::string_view unsigned_text = text;
  const bool negative = text[0] == '-';
  if (text[0] == '+' || text[0] == '-') unsigned_text.remove_prefix(1);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (one_of(unsigned_text, kInf)) {
    node.number = negative ? -kInfinity : kInfinity;
  } else if (one_of(text, kNan)) {
    node.number = std::numeric_limits<double>::quiet_NaN();
  } else if (looks_like_float(text)) {
    std::string clean(unsigned_text);
    std::erase(clean, '_');
    const auto [end, code] = std::from_chars(clean.data(), clean.data() + clean.size(), node.number);
    if (end != clean.data() + clean.size()) return false;
    if (code == std::errc::result_out_of_range) {
      throw Error(ErrorKind::kConfig, node.where(), "a number is out of the range of a double", {.got = node.text});
    }
    if (negative) node.number = -node.number;
  } else {
    return false;
  }
  node.kind = Node::Kind::kFloat;
  return true;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
    default:
      return "'" + node.text + "'";
  }
}

[[noreturn]] void wrong_type(const Node& node, std::string_view want) {
  throw Error(ErrorKind::kConfig, node.where(), "wrong type", {.got = describe(node), .want = std::string(want)});
}

bool reads_as_string(const std::string& text) {
  Node node;
  try {
    resolve_plain_scalar(node, text);
  } catch (const Error&) {
    return false;
  }
  return node.kind == Node::Kind::kString;
}

bool is_plain_safe(const std::string& text) {
  constexpr std::string_view kSafe = "_-./+@%=()~^$";  // besides letters and digits, and not as the first character
  const auto letter = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(text[0]) && text[0] != '_' && text[0] != '/' && text[0] != '.') return false;
  for (const char c : text) {
    if (!letter(c) && kSafe.find(c) == kSafe.npos) return false;
  }
  // Words that YAML 1.1 readers (PyYAML) take for booleans.
  constexpr std::array<std::string_view, 6> kOther = {"yes", "no", "on", "off", "y", "n"};
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return !one_of(lower, kOther);
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] == key) return &items[i];
  }
  return nullptr;
}

std::string Node::where() const {
  if (file.empty()) return "override";
  return line > 0 ? file + ":" + std::to_string(line) : file;
}

void resolve_plain_scalar(Node& node, std::string_view text) {
  node.text = text;
  if (one_of(text, kNulls)) {
    node.kind = Node::Kind::kNull;
  } else if (one_of(text, kTrue) || one_of(text, kFalse)) {
    node.kind = Node::Kind::kBool;
    node.boolean = one_of(text, kTrue);
  } else if (!try_int(node, text) && !try_float(node, text)) {
    node.kind = Node::Kind::kString;
  }
}

bool same_value(const Node& a, const Node& b) {
  const auto is_number = [](const Node& n) { return n.kind == Node::Kind::kInt || n.kind == Node::Kind::kFloat; };
  if (is_number(a) && is_number(b)) return a.number == b.number;
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  if (a.kind == Node::Kind::kBool) return a.boolean == b.boolean;
  if (a.kind == Node::Kind::kString) return a.text == b.text;
  for (size_t i = 0; i < a.items.size(); ++i) {
    const Node* other = a.kind == Node::Kind::kMap ? b.find(a.keys[i]) : &b.items[i];
    if (!other || !same_value(a.items[i], *other)) return false;
  }
  return true;
}

bool read_bool(const Node& node) {
  if (node.kind != Node::Kind::kBool) wrong_type(node, "true or false");
  return node.boolean;
}

int64_t read_int(const Node& node) {
  if (node.kind == Node::Kind::kInt) return node.integer;
  // 1e6 and 2.0 are whole numbers too.
  if (node.kind == Node::Kind::kFloat && std::trunc(node.number) == node.number && std::fabs(node.number) < 0x1p53) {
    return static_cast<int64_t>(node.number);
  }
  wrong_type(node, "a whole number");
}

double read_float(const Node& node) {
  if (node.kind != Node::Kind::kInt && node.kind != Node::Kind::kFloat) wrong_type(node, "a number");
  return node.number;
}

std::string read_string(const Node& node) {
  // A number or word without quotes where text is wanted is taken as written (run names such as 0042 need quotes).
  if (node.kind == Node::Kind::kNull || node.kind == Node::Kind::kList || node.kind == Node::Kind::kMap)
    wrong_type(node, "text");
  return node.text;
}

std::string write_scalar(bool value) { return value ? "true" : "false"; }
std::string write_scalar(int64_t value) { return std::to_string(value); }

std::string write_scalar(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  // Other YAML readers (1.1) take 1e-05 for text and 1.0e-05 for a number.
  if (text.find('.') == std::string::npos) {
    const size_t exponent = text.find('e');
    text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  }
  return text;
}

std::string write_scalar(const std::string& value) {
  if (!value.empty() && is_plain_safe(value) && reads_as_string(value)) return value;
  std::string out = "\"";
  for (const char c : value) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      constexpr char kHex[] = "0123456789abcdef";
      out += "\\x";
      out += kHex[code >> 4];
      out += kHex[code & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace rialto
