// The table of rules. Numbers leave room by section and are never given twice; a rule that goes leaves a gap.
#include "rialto/config/rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/precision.h"
#include "rialto/config/rule_kinds.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

constexpr int64_t kMostIterations = int64_t{1} << 40;
constexpr int64_t kMostBatch = int64_t{1} << 20;

int64_t decay_iters(const RunConfig& config) {
  return config.scheduler.lr_decay_iters.value_or(config.train.train_iters);
}

Found whole_micro_batches(const RunConfig& config) {
  const int64_t micro = config.train.micro_batch_size, global = config.train.global_batch_size;
  if (micro < 1 || global < 1 || global % micro == 0) return {};
  const int64_t below = std::max(micro, global / micro * micro);
  return Finding{"the global batch is not a whole number of micro-batches",
                 {.got = fmt::format("global_batch_size {} with train.micro_batch_size {}", global, micro),
                  .want = "a multiple of micro_batch_size",
                  .hint = fmt::format("use {} or {}", below, below + micro)}};
}

Found exit_needs_save(const RunConfig& config) {
  if (!config.train.exit_interval || !config.checkpoint.save.empty()) return {};
  return Finding{"exiting would lose the run", {.got = "checkpoint.save unset", .want = "checkpoint.save=DIR"}};
}

void add_run_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(
      integer_rule("R001", "train.micro_batch_size", [](C c) { return c.train.micro_batch_size; }, 1, kMostBatch));
  rules.push_back(
      integer_rule("R002", "train.global_batch_size", [](C c) { return c.train.global_batch_size; }, 1, kMostBatch));
  rules.push_back({"R003", "train.global_batch_size", "a multiple of train.micro_batch_size", whole_micro_batches});
  rules.push_back(
      integer_rule("R004", "train.train_iters", [](C c) { return c.train.train_iters; }, 1, kMostIterations));
  rules.push_back(integer_rule("R005", "train.exit_interval", [](C c) { return c.train.exit_interval; }, 1));
  rules.push_back({"R006", "train.exit_interval", "unset, unless checkpoint.save is set", exit_needs_save});
  rules.push_back(
      integer_rule("R011", "validation.eval_iters", [](C c) { return c.validation.eval_iters; }, 1, kMostIterations));
  rules.push_back(integer_rule("R012", "validation.eval_interval", [](C c) { return c.validation.eval_interval; }, 1));
}

Found lowest_rate(const RunConfig& config) {
  const double low = config.optimizer.min_lr, high = config.optimizer.lr;
  if ((low >= 0 && low <= high) || !(high >= 0)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", low), .want = fmt::format("0 to {} (optimizer.lr)", high)}};
}

/// A decay of moments: 1 would never take up a gradient.
Rule beta_rule(std::string_view id, std::string_view key, double OptimizerSection::* beta) {
  return {id, key, "at least 0 and below 1", [beta](const RunConfig& config) -> Found {
            const double got = config.optimizer.*beta;
            if (got >= 0 && got < 1) return {};
            return Finding{"out of range", {.got = fmt::format("{}", got), .want = "at least 0 and below 1"}};
          }};
}

void add_optimizer_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(name_rule("R021", "optimizer.optimizer", [](C c) { return c.optimizer.optimizer; }, {"adam"}));
  // Beyond this a single step could overflow fp32 weights, and the state before a failed step would not be worth
  // saving.
  rules.push_back(number_rule("R022", "optimizer.lr", [](C c) { return c.optimizer.lr; }, 0, 1e30));
  rules.push_back({"R023", "optimizer.min_lr", "0 to optimizer.lr", lowest_rate});
  rules.push_back(number_rule("R024", "optimizer.weight_decay", [](C c) { return c.optimizer.weight_decay; }, 0, 1e6));
  rules.push_back(beta_rule("R025", "optimizer.adam_beta1", &OptimizerSection::adam_beta1));
  rules.push_back(beta_rule("R026", "optimizer.adam_beta2", &OptimizerSection::adam_beta2));
  rules.push_back(number_rule("R027", "optimizer.adam_eps", [](C c) { return c.optimizer.adam_eps; }, 0, 1e6));
  rules.push_back(number_rule("R028", "optimizer.clip_grad", [](C c) { return c.optimizer.clip_grad; }, 0, 1e30));
}

Found warmup_ends(const RunConfig& config) {
  const int64_t decay = decay_iters(config);
  if (decay < 1 || config.scheduler.lr_warmup_iters < decay) return {};
  return Finding{"the warm-up does not end before the decay does",
                 {.got = fmt::format("{} iterations of warm-up", config.scheduler.lr_warmup_iters),
                  .want = fmt::format("fewer than {} (lr_decay_iters)", decay)}};
}

Found warmup_start(const RunConfig& config) {
  const double got = config.scheduler.lr_warmup_init, high = config.optimizer.lr;
  if ((got >= 0 && got <= high) || !(high >= 0)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", got), .want = fmt::format("0 to {} (optimizer.lr)", high)}};
}

Found wsd_length(const RunConfig& config) {
  const SchedulerSection& scheduler = config.scheduler;
  if (scheduler.lr_decay_style != "WSD") return {};
  if (!scheduler.lr_wsd_decay_iters)
    return Finding{"WSD needs the length of its decay", {.got = "unset", .want = "iterations"}};
  const int64_t most = decay_iters(config) - scheduler.lr_warmup_iters;
  if (*scheduler.lr_wsd_decay_iters >= 1 && (*scheduler.lr_wsd_decay_iters <= most || most < 1)) return {};
  return Finding{"does not fit between the warm-up and the end of the decay",
                 {.got = std::to_string(*scheduler.lr_wsd_decay_iters), .want = fmt::format("1 to {}", most)}};
}

void add_schedule_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(name_rule("R031", "scheduler.lr_decay_style", [](C c) { return c.scheduler.lr_decay_style; },
                            {"constant", "linear", "cosine", "WSD"}));
  rules.push_back(name_rule("R032", "scheduler.lr_wsd_decay_style", [](C c) { return c.scheduler.lr_wsd_decay_style; },
                            {"linear", "cosine", "exponential", "minus_sqrt"}));
  rules.push_back(integer_rule(
      "R033", "scheduler.lr_decay_iters", [](C c) { return c.scheduler.lr_decay_iters; }, 1, kMostIterations));
  rules.push_back(
      integer_rule("R034", "scheduler.lr_warmup_iters", [](C c) { return c.scheduler.lr_warmup_iters; }, 0));
  rules.push_back({"R035", "scheduler.lr_warmup_iters",
                   "fewer than scheduler.lr_decay_iters, or train.train_iters when that is unset", warmup_ends});
  rules.push_back({"R036", "scheduler.lr_warmup_init", "0 to optimizer.lr", warmup_start});
  rules.push_back(
      {"R037", "scheduler.lr_wsd_decay_iters", "set for WSD; at most the iterations after the warm-up", wsd_length});
}

void add_model_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(integer_rule("R041", "model.seq_length", [](C c) { return c.model.seq_length(); }, 1));
  rules.push_back(
      number_rule("R042", "model.moe_aux_loss_coeff", [](C c) { return c.model.moe_aux_loss_coeff; }, 0, 1e6));
  rules.push_back(number_rule("R043", "model.moe_z_loss_coeff", [](C c) { return c.model.moe_z_loss_coeff; }, 0, 1e6));
  rules.push_back(number_rule(
      "R044", "model.moe_router_bias_update_rate", [](C c) { return c.model.moe_router_bias_update_rate; }, 0, 1e6));
  rules.push_back(number_rule(
      "R045", "model.mtp_loss_scaling_factor", [](C c) { return c.model.mtp_loss_scaling_factor; }, 0, 1e6));
}

Rule one_process_rule(std::string_view id, std::string_view key, int64_t ModelSection::* size) {
  return {id, key, "1", [size](const RunConfig& config) -> Found {
            if (config.model.*size == 1) return {};
            return Finding{"this version trains in one process",
                           {.got = std::to_string(config.model.*size), .want = "1"}};
          }};
}

void add_parallel_rules(std::vector<Rule>& rules) {
  rules.push_back(
      one_process_rule("R051", "model.tensor_model_parallel_size", &ModelSection::tensor_model_parallel_size));
  rules.push_back(
      one_process_rule("R052", "model.pipeline_model_parallel_size", &ModelSection::pipeline_model_parallel_size));
  rules.push_back(one_process_rule("R053", "model.context_parallel_size", &ModelSection::context_parallel_size));
}

Found has_data(const RunConfig& config) {
  if (!config.dataset.data_path.empty()) return {};
  return Finding{"no training data", {.got = "unset", .want = "the prefix of a .bin/.idx pair"}};
}

Rule one_dataset_rule(std::string_view id, std::string_view key, std::vector<std::string> DatasetSection::* paths) {
  return {id, key, "at most one prefix", [paths](const RunConfig& config) -> Found {
            const size_t count = (config.dataset.*paths).size();
            if (count <= 1) return {};
            return Finding{"this version reads one dataset",
                           {.got = fmt::format("{} entries", count), .want = "one prefix"}};
          }};
}

void add_data_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back({"R061", "dataset.data_path", "set", has_data});
  rules.push_back(one_dataset_rule("R062", "dataset.data_path", &DatasetSection::data_path));
  rules.push_back(one_dataset_rule("R063", "dataset.valid_data_path", &DatasetSection::valid_data_path));
  rules.push_back(integer_rule("R064", "dataset.seq_length", [](C c) { return c.dataset.seq_length; }, 1));
}

Found no_random_state(const RunConfig& config) {
  if (!config.checkpoint.save_rng) return {};
  return Finding{"there is no random state to save: every stream is a function of its seed",
                 {.got = "true", .want = "false"}};
}

Found interval_needs_save(const RunConfig& config) {
  if (!config.checkpoint.save_interval || !config.checkpoint.save.empty()) return {};
  return Finding{"a save interval without a folder to save to",
                 {.got = "checkpoint.save unset", .want = "checkpoint.save=DIR"}};
}

Found step_needs_load(const RunConfig& config) {
  if (!config.checkpoint.ckpt_step || !config.checkpoint.load.empty()) return {};
  return Finding{"an iteration to load without a folder to load from",
                 {.got = "checkpoint.load unset", .want = "checkpoint.load=DIR"}};
}

void add_checkpoint_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(integer_rule("R071", "checkpoint.save_interval", [](C c) { return c.checkpoint.save_interval; }, 1));
  rules.push_back({"R072", "checkpoint.save_interval", "unset, unless checkpoint.save is set", interval_needs_save});
  rules.push_back(integer_rule("R073", "checkpoint.ckpt_step", [](C c) { return c.checkpoint.ckpt_step; }, 0));
  rules.push_back({"R074", "checkpoint.ckpt_step", "unset, unless checkpoint.load is set", step_needs_load});
  rules.push_back({"R075", "checkpoint.save_rng", "false", no_random_state});
  rules.push_back(integer_rule("R081", "logger.log_interval", [](C c) { return c.logger.log_interval; }, 1));
}

Found known_preset(const RunConfig& config) {
  std::vector<std::string> acting, all;
  for (const Preset& preset : presets()) {
    if (preset.name == config.mixed_precision && preset.refused.empty()) return {};
    all.emplace_back(preset.name);
    if (preset.refused.empty()) acting.emplace_back(preset.name);
    if (preset.name == config.mixed_precision)
      return Finding{fmt::format("does not run here: {}", preset.refused),
                     {.got = config.mixed_precision, .want = fmt::format("{}", fmt::join(acting, ", "))}};
  }
  const std::string near = nearest(config.mixed_precision, all);
  return Finding{"unknown name",
                 {.got = fmt::format("'{}'", config.mixed_precision),
                  .want = fmt::format("{}", fmt::join(acting, ", ")),
                  .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)}};
}

Found flags_agree(const RunConfig& config) {
  const std::optional<bool> bf16 = config.model_precision.bf16;
  if (!bf16 || *bf16 == (config.mixed_precision != "fp32")) return {};
  return Finding{
      "disagrees with mixed_precision",
      {.got = fmt::format("{} with mixed_precision {}", *bf16, config.mixed_precision),
       .hint = *bf16 ? "mixed_precision=bf16_mixed, or ~model.bf16" : "mixed_precision=fp32, or ~model.bf16"}};
}

void add_precision_rules(std::vector<Rule>& rules) {
  rules.push_back({"R091", "mixed_precision", "bf16_mixed or fp32", known_preset});
  rules.push_back({"R092", "model.bf16", "what mixed_precision says, when it is set", flags_agree});
}

}  // namespace

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> out;
    add_run_rules(out);
    add_optimizer_rules(out);
    add_schedule_rules(out);
    add_model_rules(out);
    add_parallel_rules(out);
    add_data_rules(out);
    add_checkpoint_rules(out);
    add_precision_rules(out);
    return out;
  }();
  return all;
}

std::vector<Problem> broken_rules(const RunConfig& config) {
  std::vector<Problem> problems;
  for (const Rule& rule : rules()) {
    if (const Found found = rule.check(config)) {
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
