// Keys, sections and documents, each refused with its place and the nearest known name.
#include "rialto/config/reader.h"

#include <filesystem>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/inherit.h"
#include "rialto/config/recipes.h"

namespace rialto::config {
namespace {

std::string hint_for(const std::string& near) { return near.empty() ? "" : "did you mean '" + near + "'?"; }

/// Keys of `section`; for the top level, section names too.
std::vector<std::string> keys_of(std::string_view section) {
  std::vector<std::string> keys;
  for (const KeyRow& row : key_rows()) {
    if (row.section == section) keys.emplace_back(row.key);
  }
  if (section.empty()) keys.insert(keys.end(), section_names().begin(), section_names().end());
  return keys;
}

/// The key of that name in another section; one that acts first.
std::string elsewhere(const std::string& key) {
  for (const bool acting : {true, false}) {
    for (const KeyRow& row : key_rows()) {
      if (row.key == key && row.is_written() == acting) return row.full_name();
    }
  }
  return {};
}

Node document_of(const Recipe& recipe) { return parse_yaml(recipe.text, fmt::format("recipe {}", recipe.name)); }

[[noreturn]] void refuse_recipe(const std::string& where, const std::string& name, bool bases) {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes())
    if (bases || !recipe.is_base()) names.emplace_back(recipe.name);
  throw Error(ErrorKind::kConfig, where, fmt::format("'{}' is no file and no recipe", name),
              {.want = "a YAML file, or a name that `rialto recipes` lists", .hint = hint_for(nearest(name, names))});
}

/// What `defaults` names: a file beside the one that names it, else a recipe.
Node find_base(const std::string& name, const Node& from) {
  const std::filesystem::path beside = std::filesystem::path(from.file).parent_path() / name;
  std::error_code error;
  if (std::filesystem::is_regular_file(beside, error)) return read_yaml_file(beside.string());
  if (const auto recipe = find_recipe(name)) return document_of(*recipe);
  refuse_recipe(from.where(), name, true);
}

}  // namespace

void refuse_key(const Node& value, std::string_view section, const std::string& key) {
  // A key that exists, but in another section, is the likelier slip than a misspelling.
  std::string near = elsewhere(key);
  if (near.empty()) near = nearest(key, keys_of(section));
  const std::string what = section.empty() ? fmt::format("unknown key '{}'", key)
                                           : fmt::format("unknown key '{}' in section '{}'", key, section);
  throw Error(ErrorKind::kConfig, value.where(), what, {.hint = hint_for(near)});
}

void read_key(RunConfig& config, const KeyRow& row, const Node& value) {
  try {
    row.read(config, value);
    config.places[row.stored_as.empty() ? row.full_name() : std::string(row.stored_as)] = value.where();
  } catch (const Error& error) {
    const std::string_view line = error.what();
    const size_t end = line.find("] ");
    throw Error(error.kind(), value.where(),
                fmt::format("{}: {}", row.full_name(), end == std::string_view::npos ? line : line.substr(end + 2)));
  }
}

void reset_section(RunConfig& config, std::string_view section) {
  const RunConfig defaults;
  for (const KeyRow& row : key_rows()) {
    if (row.section == section && row.is_written()) row.read(config, parse_yaml_value(row.write(defaults)));
  }
}

void read_section(RunConfig& config, const std::string& section, const Node& map, Problems* problems) {
  if (map.kind == Node::Kind::kNull) return reset_section(config, section);
  if (map.kind != Node::Kind::kMap) {
    throw Error(ErrorKind::kConfig, map.where(), fmt::format("section '{}' is not a map of keys", section));
  }
  std::vector<const KeyRow*> rows;
  for (const std::string& key : map.keys) rows.push_back(find_row(section, key));
  // Second names last: Bridge writes null under the first one then, in an order that means nothing.
  for (const bool second : {false, true})
    for (size_t i = 0; i < map.keys.size(); ++i) {
      const KeyRow* row = rows[i];
      if (second != (row && !row->stored_as.empty())) continue;
      collect(problems, section + "." + map.keys[i], [&] {
        if (row == nullptr) refuse_key(map.items[i], section, map.keys[i]);
        read_key(config, *row, map.items[i]);
      });
    }
}

void read_document(RunConfig& config, const Node& document, Problems* problems) {
  if (document.kind == Node::Kind::kNull) return;
  if (document.kind != Node::Kind::kMap)
    throw Error(ErrorKind::kConfig, document.where(), "a recipe is a map of sections");
  for (size_t i = 0; i < document.keys.size(); ++i) {
    const std::string& key = document.keys[i];
    collect(problems, key, [&] {
      if (is_section(key)) return read_section(config, key, document.items[i], problems);
      const KeyRow* row = find_row("", key);
      if (row == nullptr) refuse_key(document.items[i], "", key);
      read_key(config, *row, document.items[i]);
    });
  }
}

void read_documents(RunConfig& config, const std::vector<Node>& documents, Problems* problems) {
  for (const Node& document : documents) read_document(config, document, problems);
}

std::vector<Node> read_file(const std::string& path) { return with_bases(read_yaml_file(path), path, find_base); }

std::vector<Node> read_recipe(const std::string& path) {
  if (std::filesystem::exists(path)) return read_file(path);
  if (const auto recipe = find_recipe(path))
    return with_bases(document_of(*recipe), std::string(recipe->name), find_base);
  refuse_recipe(path, path, false);
}

}  // namespace rialto::config
