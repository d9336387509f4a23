// The table of rules. Numbers leave room by section and are never given twice; a rule that goes leaves a gap.
#include "rialto/config/rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> out;
    add_model_rules(out);
    add_memory_rules(out);
    add_train_rules(out);
    add_validation_rules(out);
    add_optimizer_rules(out);
    add_scheduler_rules(out);
    add_dataset_rules(out);
    add_checkpoint_rules(out);
    add_logger_rules(out);
    add_resilience_rules(out);
    add_profiling_rules(out);
    add_ddp_rules(out);
    add_precision_rules(out);
    std::ranges::sort(out, {}, &Rule::id);
    return out;
  }();
  return all;
}

std::vector<Problem> broken_rules(const RunConfig& config) {
  std::vector<Problem> problems;
  for (const Rule& rule : rules()) {
    if (const std::optional<Finding> found = rule.check(config)) {
      const Error error(ErrorKind::kConfig, rule.key, fmt::format("{}: {}", rule.id, found->what), found->parts);
      problems.push_back({std::string(rule.id), std::string(rule.key), error.what()});
    }
  }
  return problems;
}

void throw_problems(const std::vector<Problem>& problems) {
  if (problems.empty()) return;
  if (problems.size() == 1) throw Error(ErrorKind::kConfig, "", problems.front().line);
  std::string all;
  for (const Problem& problem : problems) all += (all.empty() ? "" : " | ") + problem.line;
  throw Error(ErrorKind::kConfig, "", fmt::format("{} mistakes: {}", problems.size(), all));
}

void check_rules(const RunConfig& config) { throw_problems(broken_rules(config)); }

std::string rules_markdown() {
  std::string text = "| rule | key | must be |\n|---|---|---|\n";
  for (const Rule& rule : rules()) text += fmt::format("| {} | `{}` | {} |\n", rule.id, rule.key, rule.says);
  return text;
}

}  // namespace rialto::config
