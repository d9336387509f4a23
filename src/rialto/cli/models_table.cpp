// The table of families and proofs.
#include "rialto/cli/models_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/families/family.h"

namespace rialto::cli {
namespace {

/// Columns in the order of use; others that the results name come behind them.
constexpr std::string_view kColumns[] = {"convert", "logits", "gradients", "generate", "megatron", "resume"};
constexpr std::string_view kNotProven = "not proven";

std::string cell(const Json& family, const std::string& column) { return family["cells"][column].get<std::string>(); }

}  // namespace

Json models_table() {
  const Json results = parse_json(kResultsJson, "docs/results.json");
  std::vector<std::string> columns(std::begin(kColumns), std::end(kColumns));
  for (const auto& [family, cells] : results.items())
    for (const auto& [column, value] : cells.items())
      if (std::find(columns.begin(), columns.end(), column) == columns.end()) columns.push_back(column);
  Json families = Json::array();
  for (const families::Family* family : families::registry()) {
    Json architectures = Json::array(), cells = Json::object();
    for (const std::string_view architecture : family->architectures) architectures.push_back(architecture);
    for (const std::string& column : columns) {
      cells[column] = kNotProven;
      if (const auto found = results.find(std::string(family->name)); found != results.end() && found->contains(column))
        cells[column] = found->at(column);
    }
    families.push_back(
        {{"name", family->name}, {"title", family->title}, {"architectures", architectures}, {"cells", cells}});
  }
  return {{"columns", columns}, {"families", families}};
}

std::string models_text(const Json& table) {
  size_t width = 6;
  for (const Json& family : table["families"]) width = std::max(width, family["title"].get<std::string>().size());
  std::string text = fmt::format("{:<{}}", "family", width), reasons;
  for (const Json& column : table["columns"]) text += fmt::format("  {:<10}", column.get<std::string>());
  text += "\n";
  for (const Json& family : table["families"]) {
    text += fmt::format("{:<{}}", family["title"].get<std::string>(), width);
    for (const Json& column : table["columns"]) {
      const std::string value = cell(family, column.get<std::string>());
      text += fmt::format("  {:<10}", value == "passed" ? "passed" : "-");
      if (value != "passed")
        reasons += fmt::format("  {}, {}: {}\n", family["title"].get<std::string>(), column.get<std::string>(), value);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return reasons.empty() ? text : text + "\n- means:\n" + reasons;
}

std::string models_markdown(const Json& table) {
  std::string text = "| family |", rule = "|---|";
  for (const Json& column : table["columns"]) {
    text += fmt::format(" {} |", column.get<std::string>());
    rule += "---|";
  }
  text += "\n" + rule + "\n";
  for (const Json& family : table["families"]) {
    text += fmt::format("| {} |", family["title"].get<std::string>());
    for (const Json& column : table["columns"]) text += fmt::format(" {} |", cell(family, column.get<std::string>()));
    text += "\n";
  }
  return text;
}

}  // namespace rialto::cli
