// Reports on configurations, made from the table of keys and the table of rules.
#include "rialto/cli/config_report.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "rialto/config/precision.h"
#include "rialto/config/rules.h"
#include "rialto/config/sections.h"

namespace rialto::cli {
namespace {

using config::KeyRow;
using config::RunConfig;

Json to_json(const Node& node) {
  using Kind = Node::Kind;
  switch (node.kind) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBool:
      return node.boolean;
    case Kind::kInt:
      return node.integer;
    case Kind::kFloat:
      return node.number;
    case Kind::kString:
      return node.text;
    case Kind::kList: {
      Json list = Json::array();
      for (const Node& item : node.items) list.push_back(to_json(item));
      return list;
    }
    case Kind::kMap: {
      Json map = Json::object();
      for (size_t i = 0; i < node.items.size(); ++i) map[node.keys[i]] = to_json(node.items[i]);
      return map;
    }
  }
  return nullptr;
}

Json rules_of(const std::string& key) {
  Json list = Json::array();
  const auto add = [&](const auto& rules) {
    for (const auto& rule : rules)
      if (rule.key == key) list.push_back({{"rule", rule.id}, {"must_be", rule.says}});
  };
  add(config::rules());
  add(config::model_rules());
  return list;
}

Json explain_presets() {
  Json list = Json::array();
  for (const config::Preset& preset : config::presets()) {
    Json& entry = list.emplace_back(Json{{"name", preset.name}, {"meaning", preset.says}});
    if (!preset.refused.empty()) entry["why_not"] = preset.refused;
  }
  return list;
}

Json explain_row(const KeyRow& row) {
  const std::string name = row.full_name();
  Json out = {{"key", name}, {"acts", row.acts()}};
  if (row.known) {
    out["why_not"] = row.help;
    out["accepted"] = config::accepted_values(*row.known);
    return out;
  }
  out["meaning"] = row.help;
  out["type"] = row.type;
  out["default"] = row.write(RunConfig{});
  if (!row.stored_as.empty()) out["second_name_of"] = row.stored_as;
  if (name == "mixed_precision") out["presets"] = explain_presets();
  out["rules"] = rules_of(row.stored_as.empty() ? name : std::string(row.stored_as));
  return out;
}

std::string row_text(const Json& row) {
  std::string text = row["key"].get<std::string>() + "\n";
  const auto line = [&text](std::string_view name, const Json& value) {
    text += fmt::format("  {:10}{}\n", name, value.get<std::string>());
  };
  if (row.contains("why_not")) {
    line("acts", fmt::format("no: {}", row["why_not"].get<std::string>()));
    line("accepted", row["accepted"]);
    return text;
  }
  line("meaning", row["meaning"]);
  line("type", row["type"]);
  line("default", row["default"] == "null" ? Json("unset") : row["default"]);
  if (row.contains("second_name_of")) line("stored as", row["second_name_of"]);
  for (const Json& preset : row.value("presets", Json::array())) {
    text += fmt::format("  {:48}{}\n", preset["name"].get<std::string>(), preset["meaning"].get<std::string>());
    if (preset.contains("why_not"))
      text += fmt::format("  {:48}does not run here: {}\n", "", preset["why_not"].get<std::string>());
  }
  for (const Json& rule : row["rules"])
    line(rule["rule"].get<std::string>(), "must be " + rule["must_be"].get<std::string>());
  return text;
}

[[noreturn]] void refuse_name(std::string_view name) {
  std::vector<std::string> known = config::section_names();
  std::string near;
  for (const KeyRow& row : config::key_rows()) {
    if (row.key == name && near.empty()) near = row.full_name();
    known.push_back(row.full_name());
  }
  if (near.empty()) near = nearest(name, known);
  throw Error(ErrorKind::kUsage, "rialto config explain", fmt::format("no key or section '{}'", name),
              {.hint = near.empty() ? "rialto config explain" : fmt::format("did you mean '{}'?", near)});
}

Json explain_sections() {
  Json sections = Json::array();
  for (const std::string& name : config::section_names()) {
    int64_t acting = 0, all = 0;
    for (const KeyRow& row : config::key_rows()) {
      if (row.section != name) continue;
      ++all;
      acting += row.acts() ? 1 : 0;
    }
    sections.push_back({{"section", name}, {"keys_that_act", acting}, {"keys", all}});
  }
  return {{"sections", sections}};
}

}  // namespace

Json config_to_json(const RunConfig& config) { return to_json(parse_yaml(write_run_config(config), "configuration")); }

Json changed_to_json(const RunConfig& config) { return to_json(parse_yaml(config::write_changed(config), "changes")); }

Json config_diff(const RunConfig& a, const RunConfig& b) {
  Json diff = Json::array();
  for (const KeyRow& row : config::key_rows()) {
    const std::string left = row.write(a), right = row.write(b);
    if (row.is_written() && left != right) diff.push_back({{"key", row.full_name()}, {"a", left}, {"b", right}});
  }
  return diff;
}

std::string diff_to_text(const Json& diff) {
  if (diff.empty()) return "no difference\n";
  std::string text;
  for (const Json& row : diff)
    text += fmt::format("{}: {} -> {}\n", row["key"].get<std::string>(), row["a"].get<std::string>(),
                        row["b"].get<std::string>());
  return text;
}

Json explain(std::string_view name) {
  if (name.empty()) return explain_sections();
  Json keys = Json::array();
  for (const KeyRow& row : config::key_rows()) {
    if (row.section == name || row.full_name() == name) keys.push_back(explain_row(row));
  }
  if (keys.empty() && !config::is_section(name)) refuse_name(name);
  return {{"keys", keys}};
}

std::string explain_to_text(const Json& report) {
  std::string text;
  if (report.contains("sections")) {
    for (const Json& section : report["sections"])
      text += fmt::format("{:36}{:3} of {:3} keys act\n", section["section"].get<std::string>(),
                          section["keys_that_act"].get<int64_t>(), section["keys"].get<int64_t>());
    return text + "mixed_precision and _target_ stand at the top level.\n";
  }
  for (const Json& row : report["keys"]) text += row_text(row);
  return text;
}

std::string keys_markdown() {
  const RunConfig defaults;
  std::string text = "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const KeyRow& row : config::key_rows()) {
    if (!row.is_written()) continue;
    const std::string value = row.write(defaults);
    text += fmt::format("| `{}` | {} | {} | {} |\n", row.full_name(), row.type, value == "null" ? "unset" : value,
                        row.help);
  }
  return text + "\n" + config::rules_markdown();
}

Json problems_to_json(const std::vector<config::Problem>& problems) {
  Json out = {{"problems", Json::array()}, {"limits", Json::array()}};
  for (const config::Problem& problem : problems)
    out[problem.is_limit ? "limits" : "problems"].push_back(
        {{"rule", problem.rule.empty() ? Json(nullptr) : Json(problem.rule)},
         {"key", problem.key},
         {"message", problem.line}});
  return out;
}

std::string problems_to_text(const Json& report) {
  std::string text;
  const auto add = [&text](const Json& list, std::string_view heading) {
    if (!list.empty()) text += heading;
    for (const Json& problem : list) text += problem["message"].get<std::string>() + "\n";
  };
  const Json& list = report["problems"];
  add(list, "");
  text += list.empty() ? "every key is known and no rule is broken\n"
                       : fmt::format("{} mistake{}\n", list.size(), list.size() == 1 ? "" : "s");
  add(report["limits"], "this version does not run it:\n");
  return text;
}

}  // namespace rialto::cli
