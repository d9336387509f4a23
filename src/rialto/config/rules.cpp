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
    add_parallel_rules(out);
    add_parallel_limits(out);
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
    add_recipe_rules(out);
    std::ranges::sort(out, {}, &Rule::id);
    return out;
  }();
  return all;
}

const std::vector<ModelRule>& model_rules() {
  static const std::vector<ModelRule> all = [] {
    std::vector<ModelRule> out = parallel_model_rules();
    std::ranges::copy(parallel_model_limits(), std::back_inserter(out));
    std::ranges::sort(out, {}, &ModelRule::id);
    return out;
  }();
  return all;
}

std::vector<Problem> broken_rules(const RunConfig& config, const spec::ModelSpec* model) {
  std::vector<Problem> problems;
  const auto add = [&](const auto& rule, const std::optional<Finding>& found, bool is_limit) {
    if (!found) return;
    const Error error = located_error(config, rule.key, fmt::format("{}: {}", rule.id, found->what), found->parts);
    problems.push_back({std::string(rule.id), std::string(rule.key), error.what(), is_limit});
  };
  for (const Rule& rule : rules()) add(rule, rule.check(config), rule.is_limit);
  if (model)
    for (const ModelRule& rule : model_rules()) add(rule, rule.check(config, *model), rule.is_limit);
  std::ranges::stable_sort(problems, {}, &Problem::rule);
  return problems;
}

Error located_error(const RunConfig& config, std::string_view key, std::string_view what, const ErrorParts& parts) {
  const auto place = config.places.find(std::string(key));
  if (place == config.places.end()) return Error(ErrorKind::kConfig, key, what, parts);
  return Error(ErrorKind::kConfig, place->second, fmt::format("{}: {}", key, what), parts);
}

void throw_problems(const std::vector<Problem>& problems) {
  if (problems.empty()) return;
  if (problems.size() == 1) throw Error(ErrorKind::kConfig, "", problems.front().line);
  std::string all;
  for (const Problem& problem : problems) all += (all.empty() ? "" : " | ") + problem.line;
  throw Error(ErrorKind::kConfig, "", fmt::format("{} mistakes: {}", problems.size(), all));
}

void check_rules(const RunConfig& config, const spec::ModelSpec* model) { throw_problems(broken_rules(config, model)); }

std::string rules_markdown() {
  std::string text = "| rule | key | must be |\n|---|---|---|\n";
  std::vector<std::string> lines;
  for (const Rule& rule : rules())
    lines.push_back(
        fmt::format("| {} | `{}` | {}{} |\n", rule.id, rule.key, rule.says, rule.is_limit ? " (this version)" : ""));
  for (const ModelRule& rule : model_rules())
    lines.push_back(fmt::format("| {} | `{}` | {} |\n", rule.id, rule.key, rule.says));
  std::ranges::sort(lines);
  for (const std::string& line : lines) text += line;
  return text;
}

}  // namespace rialto::config
