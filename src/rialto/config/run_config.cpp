// Reading, overriding and writing a run configuration through the table of keys.
#include "rialto/config/run_config.h"

#include <filesystem>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/recipes.h"
#include "rialto/config/sections.h"

namespace rialto::config {
namespace {

std::string hint_for(const std::string& near) { return near.empty() ? "" : "did you mean '" + near + "'?"; }

const KeyRow* find_row(std::string_view section, std::string_view key) {
  for (const KeyRow& row : key_rows()) {
    if (row.section == section && row.key == key) return &row;
  }
  return nullptr;
}

/// Keys of `section`; for the top level, section names too.
std::vector<std::string> keys_of(std::string_view section) {
  std::vector<std::string> keys;
  for (const KeyRow& row : key_rows()) {
    if (row.section == section) keys.emplace_back(row.key);
  }
  if (section.empty()) keys.insert(keys.end(), section_names().begin(), section_names().end());
  return keys;
}

[[noreturn]] void refuse_key(const Node& value, std::string_view section, const std::string& key) {
  // A key that exists, but in another section, is the likelier slip than a misspelling.
  std::string near;
  for (const KeyRow& row : key_rows()) {
    if (row.key == key) near = row.full_name();
  }
  if (near.empty()) near = nearest(key, keys_of(section));
  const std::string what = section.empty() ? fmt::format("unknown key '{}'", key)
                                           : fmt::format("unknown key '{}' in section '{}'", key, section);
  throw Error(ErrorKind::kConfig, value.where(), what, {.got = {}, .want = {}, .hint = hint_for(near)});
}

bool is_section(std::string_view name) {
  for (const std::string& section : section_names()) {
    if (section == name) return true;
  }
  return false;
}

/// A value that does not fit is refused with its key.
void read_key(const KeyRow& row, RunConfig& config, const std::string& name, const Node& value) {
  try {
    row.read(config, value);
  } catch (const Error& error) {
    const std::string_view line = error.what();
    const size_t end = line.find("] ");
    throw Error(error.kind(), value.where(),
                fmt::format("{}: {}", name, end == std::string_view::npos ? line : line.substr(end + 2)));
  }
}

void read_section(RunConfig& config, const std::string& section, const Node& map) {
  if (map.kind == Node::Kind::kNull) return;
  if (map.kind != Node::Kind::kMap) {
    throw Error(ErrorKind::kConfig, map.where(), fmt::format("section '{}' is not a map of keys", section));
  }
  for (size_t i = 0; i < map.keys.size(); ++i) {
    const KeyRow* row = find_row(section, map.keys[i]);
    if (row == nullptr) refuse_key(map.items[i], section, map.keys[i]);
    read_key(*row, config, section + "." + map.keys[i], map.items[i]);
  }
}

void read_document(RunConfig& config, const Node& document) {
  if (document.kind == Node::Kind::kNull) return;
  if (document.kind != Node::Kind::kMap)
    throw Error(ErrorKind::kConfig, document.where(), "a recipe is a map of sections");
  for (size_t i = 0; i < document.keys.size(); ++i) {
    const std::string& key = document.keys[i];
    if (is_section(key)) {
      read_section(config, key, document.items[i]);
    } else if (const KeyRow* row = find_row("", key)) {
      read_key(*row, config, key, document.items[i]);
    } else {
      refuse_key(document.items[i], "", key);
    }
  }
}

void apply_override(RunConfig& config, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::kUsage, "--set " + text, "an override is section.key=value");
  }
  const std::string name = text.substr(0, equals);
  Node value = parse_yaml_value(text.substr(equals + 1));
  value.file = "--set " + text;
  value.line = 0;
  const size_t dot = name.find('.');
  const std::string section = dot == std::string::npos ? "" : name.substr(0, dot);
  const std::string key = dot == std::string::npos ? name : name.substr(dot + 1);
  if (!section.empty() && !is_section(section)) refuse_key(value, "", section);
  if (section.empty() && is_section(key)) {
    read_section(config, key, value);
    return;
  }
  const KeyRow* row = find_row(section, key);
  if (row == nullptr) refuse_key(value, section, key);
  row->read(config, value);
}

Node read_recipe(const std::string& path) {
  if (std::filesystem::exists(path)) return read_yaml_file(path);
  if (const auto recipe = find_recipe(path)) return parse_yaml(recipe->text, "recipe " + path);
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) names.emplace_back(recipe.name);
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  const std::string near = nearest(path, names);
  throw Error(ErrorKind::kConfig, path, "no such file and no recipe of that name",
              {.got = {}, .want = "a YAML file or one of " + list, .hint = hint_for(near)});
}

}  // namespace

RunConfig read_run_config(const std::string& path, const std::vector<std::string>& overrides) {
  RunConfig config;
  read_document(config, read_recipe(path));
  for (const std::string& text : overrides) apply_override(config, text);
  return config;
}

namespace {

std::string write_rows(const RunConfig& config, std::string_view without) {
  std::string text;
  std::string_view section;
  for (const KeyRow& row : key_rows()) {
    if (!without.empty() && row.section == without) continue;
    if (row.section != section) {
      section = row.section;
      if (!section.empty()) text += fmt::format("{}:\n", section);
    }
    text += fmt::format("{}{}: {}\n", section.empty() ? "" : "  ", row.key, row.write(config));
  }
  return text;
}

/// A relative path as it is, an absolute one by its last component.
std::string portable(const std::string& path) {
  const std::filesystem::path parsed(path);
  return parsed.is_absolute() ? parsed.filename().string() : path;
}

}  // namespace

std::string write_run_config(const RunConfig& config) { return write_rows(config, ""); }

std::string write_portable_sections(const RunConfig& config) {
  RunConfig copy = config;
  copy.checkpoint.save.clear();
  copy.checkpoint.load.clear();
  copy.checkpoint.pretrained_checkpoint.clear();
  copy.logger.metrics_jsonl.clear();
  copy.tokenizer.tokenizer_model = portable(copy.tokenizer.tokenizer_model);
  for (auto* paths : {&copy.dataset.data_path, &copy.dataset.valid_data_path}) {
    for (std::string& path : *paths) path = portable(path);
  }
  return write_rows(copy, "model");
}

std::string describe_run_config() {
  const RunConfig defaults;
  std::string text;
  std::string_view section = "-";
  for (const KeyRow& row : key_rows()) {
    if (row.section != section) {
      section = row.section;
      text += fmt::format("{}\n", section.empty() ? "(top level)" : section);
    }
    const std::string value = row.write(defaults);
    text += fmt::format("  {} [{}]  {}\n", row.key, value == "null" ? "unset" : value, row.help);
  }
  return text;
}

}  // namespace rialto::config
