// Parsing and applying overrides.
#include "rialto/config/overrides.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/reader.h"

namespace rialto::config {
namespace {

/// "a.b" in its two parts; a key at the top level has no section.
std::pair<std::string, std::string> split(const std::string& name) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

void set_place(Node& node, const std::string& where) {
  node.file = where;
  node.line = 0;
  for (Node& item : node.items) set_place(item, where);
}

/// Refuses `+` for a key that has a value: as Hydra, so that a typing mistake never changes what a recipe says.
void refuse_present(const RunConfig& config, const KeyRow& row, const Override& change) {
  const std::string present = row.write(config);
  if (present == "null" || present == "[]") return;
  throw Error(
      ErrorKind::kConfig, change.where, fmt::format("'{}' is there already", change.name),
      {.got = present, .hint = fmt::format("write {}=... or ++{}=... to replace it", change.name, change.name)});
}

void remove(RunConfig& config, const KeyRow& row, const Override& change) {
  const RunConfig defaults;
  if (change.value && !same_value(parse_yaml_value(row.write(config)), *change.value)) {
    throw Error(ErrorKind::kConfig, change.where, fmt::format("'{}' has another value", change.name),
                {.got = change.value->text, .want = row.write(config)});
  }
  if (row.is_class) return;
  Node value = parse_yaml_value(row.known ? "null" : row.write(defaults));
  value.file = change.where;
  row.read(config, value);
}

void remove_section(RunConfig& config, const std::string& section, const Override& change) {
  if (change.value)
    throw Error(ErrorKind::kUsage, change.where, "a whole section is removed without a value",
                {.hint = fmt::format("~{}", section)});
  reset_section(config, section);
}

}  // namespace

Override parse_override(const std::string& text, std::string_view option) {
  Override change;
  change.where = option.empty() ? text : fmt::format("{} {}", option, text);
  std::string_view rest = text;
  using Kind = Override::Kind;
  for (const auto& [sign, kind] :
       {std::pair{std::string_view("++"), Kind::kAddOrSet}, {"+", Kind::kAdd}, {"~", Kind::kRemove}}) {
    if (!rest.starts_with(sign)) continue;
    change.kind = kind;
    rest.remove_prefix(sign.size());
    break;
  }
  const size_t equals = rest.find('=');
  change.name = rest.substr(0, equals);
  const bool misses_value = equals == std::string_view::npos && change.kind != Kind::kRemove;
  if (misses_value || change.name.empty()) {
    throw Error(ErrorKind::kUsage, change.where, "an override is section.key=value",
                {.hint = "or +section.key=value, ++section.key=value, ~section.key"});
  }
  if (equals != std::string_view::npos) {
    change.value = parse_yaml_value(rest.substr(equals + 1));
    set_place(*change.value, change.where);
  }
  return change;
}

void apply_override(RunConfig& config, const Override& change) {
  Node here;
  here.file = change.where;
  const Node& value = change.value ? *change.value : here;
  const auto [section, key] = split(change.name);
  if (!section.empty() && find_row("", section)) {
    throw Error(ErrorKind::kConfig, change.where, fmt::format("'{}' is one key, without keys below it", section),
                {.hint = fmt::format("{}=...", section)});
  }
  if (!section.empty() && !is_section(section)) refuse_key(value, "", section);
  if (section.empty() && is_section(key)) {
    if (change.kind == Override::Kind::kRemove) return remove_section(config, key, change);
    read_section(config, key, value, nullptr);
    return;
  }
  const KeyRow* row = find_row(section, key);
  if (row == nullptr) refuse_key(value, section, key);
  // Null under a second name is what Bridge's files have where the first one counts; here somebody asks for it.
  const bool unset = change.kind == Override::Kind::kRemove || value.kind == Node::Kind::kNull;
  if (unset && !row->stored_as.empty()) {
    const auto [stored_section, stored_key] = split(std::string(row->stored_as));
    row = find_row(stored_section, stored_key);
  }
  if (change.kind == Override::Kind::kRemove) return remove(config, *row, change);
  if (change.kind == Override::Kind::kAdd) refuse_present(config, *row, change);
  read_key(config, *row, value);
}

}  // namespace rialto::config
