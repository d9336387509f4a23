// Every section's rows in one table. Names: Megatron Bridge's ConfigContainer.
#include "rialto/config/sections.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/fields.h"
#include "rialto/config/more_rows.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {

void read_value(const Node& node, std::vector<std::string>& out) {
  out.clear();
  if (node.kind == Node::Kind::kNull) return;
  if (node.kind != Node::Kind::kList) {
    out.push_back(read_string(node));
    return;
  }
  for (const Node& item : node.items) out.push_back(read_string(item));
}

void read_value(const Node& node, std::vector<int64_t>& out) {
  out.clear();
  if (node.kind == Node::Kind::kNull) return;
  if (node.kind != Node::Kind::kList) {
    out.push_back(read_int(node));
    return;
  }
  for (const Node& item : node.items) out.push_back(read_int(item));
}

std::string write_value(const std::vector<int64_t>& value) { return fmt::format("[{}]", fmt::join(value, ", ")); }

std::string write_flow_text(const std::string& text) {
  const bool plain = text.find_first_of(",[]{}\"'#:& ") == std::string::npos;
  const std::string item = write_scalar(text);
  if (plain || (!item.empty() && (item[0] == '"' || item[0] == '\''))) return item;
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

std::string write_value(const std::vector<std::string>& value) {
  std::string text = "[";
  for (size_t i = 0; i < value.size(); ++i) text += (i > 0 ? ", " : "") + write_flow_text(value[i]);
  return text + "]";
}

void ModelSection::set(std::string_view key, Node value) {
  const auto at = std::find(keys.keys.begin(), keys.keys.end(), key);
  const auto index = at - keys.keys.begin();
  if (at != keys.keys.end()) {
    keys.keys.erase(at);
    keys.items.erase(keys.items.begin() + index);
  }
  if (value.kind == Node::Kind::kNull) return;
  keys.keys.emplace_back(key);
  keys.items.push_back(std::move(value));
}

std::optional<int64_t> ModelSection::seq_length() const {
  const Node* length = find("seq_length");
  return length ? std::optional<int64_t>(read_int(*length)) : std::nullopt;
}

namespace {

std::vector<KeyRow> make_rows() {
  std::vector<KeyRow> rows;
  add_model_rows(rows);
  add_memory_rows(rows);
  add_parallel_rows(rows);
  add_train_rows(rows);
  add_validation_rows(rows);
  add_optimizer_rows(rows);
  add_scheduler_rows(rows);
  add_dataset_rows(rows);
  add_checkpoint_rows(rows);
  add_logger_rows(rows);
  add_resilience_rows(rows);
  add_profiling_rows(rows);
  add_ddp_rows(rows);
  add_precision_rows(rows);
  add_recipe_rows(rows);
  add_second_names(rows);
  add_targets(rows);
  add_known_keys(rows);
  return rows;
}

}  // namespace

std::string KeyRow::full_name() const {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

const std::vector<KeyRow>& key_rows() {
  static const std::vector<KeyRow> rows = make_rows();
  return rows;
}

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    const auto add = [&out](std::string_view name) {
      if (!name.empty() && std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
    };
    for (const KeyRow& row : key_rows()) add(row.section);
    for (const KnownSection& section : known_sections()) add(section.name);
    return out;
  }();
  return names;
}

const KeyRow* find_row(std::string_view section, std::string_view key) {
  for (const KeyRow& row : key_rows()) {
    if (row.section == section && row.key == key) return &row;
  }
  return nullptr;
}

std::string_view map_of(const KeyRow& row) {
  const size_t dot = row.key.find('.');
  return dot == row.key.npos ? std::string_view() : row.key.substr(0, dot);
}

std::string write_map(const RunConfig& config, std::string_view section, std::string_view map) {
  const RunConfig defaults;
  std::string text;
  for (const KeyRow& row : key_rows()) {
    if (row.section != section || map_of(row) != map || !row.is_written()) continue;
    const std::string value = row.write(config);
    if (value != row.write(defaults))
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", row.key.substr(map.size() + 1), value);
  }
  return text.empty() ? "null" : fmt::format("{{{}}}", text);
}

bool is_section(std::string_view name) {
  return std::find(section_names().begin(), section_names().end(), name) != section_names().end();
}

}  // namespace rialto::config
