// Keys of `train:` and `validation:`: batches, length, when to stop, when to evaluate.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

constexpr int64_t kMostBatch = int64_t{1} << 20;

Found whole_micro_batches(const RunConfig& config) {
  const int64_t micro = config.train.micro_batch_size, global = config.train.global_batch_size;
  const int64_t copies = config.data_parallel_size(), step = micro * copies;
  if (micro < 1 || global < 1 || global % step == 0) return {};
  const int64_t below = std::max(step, global / step * step);
  const std::string ranks = copies > 1 ? fmt::format(" on {} copies of the model", copies) : "";
  return Finding{"the global batch is not a whole number of micro-batches",
                 {.got = fmt::format("global_batch_size {} with train.micro_batch_size {}{}", global, micro, ranks),
                  .want = copies > 1 ? "a multiple of micro_batch_size times data-parallel size"
                                     : "a multiple of micro_batch_size",
                  .hint = fmt::format("use {} or {}", below, below + step)}};
}

Found exit_needs_save(const RunConfig& config) {
  if (!config.train.exit_interval || !config.checkpoint.save.empty()) return {};
  return Finding{"exiting would lose the run", {.got = "checkpoint.save unset", .want = "checkpoint.save=DIR"}};
}

}  // namespace

void add_train_rows(std::vector<KeyRow>& rows) {
  using T = TrainSection;
  add_rows<T>(rows, "train", &RunConfig::train,
              {field_or_default("micro_batch_size", &T::micro_batch_size, "sequences of one forward and backward pass"),
               field_or_default("global_batch_size", &T::global_batch_size, "sequences of one optimizer step"),
               field_or_default("train_iters", &T::train_iters, "optimizer steps of the whole run"),
               field("exit_interval", &T::exit_interval, "save and exit at every multiple of this iteration")});
  using V = ValidationSection;
  add_rows<V>(rows, "validation", &RunConfig::validation,
              {field("eval_iters", &V::eval_iters, "global batches of one evaluation"),
               field("eval_interval", &V::eval_interval, "iterations between evaluations; unset: none")});
}

void add_train_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(
      integer_rule("R001", "train.micro_batch_size", [](C c) { return c.train.micro_batch_size; }, 1, kMostBatch));
  rules.push_back(
      integer_rule("R002", "train.global_batch_size", [](C c) { return c.train.global_batch_size; }, 1, kMostBatch));
  rules.push_back({"R003", "train.global_batch_size",
                   "a multiple of train.micro_batch_size times the data-parallel size", whole_micro_batches});
  rules.push_back(
      integer_rule("R004", "train.train_iters", [](C c) { return c.train.train_iters; }, 1, kMostIterations));
  rules.push_back(integer_rule("R005", "train.exit_interval", [](C c) { return c.train.exit_interval; }, 1));
  rules.push_back({"R006", "train.exit_interval", "unset, unless checkpoint.save is set", exit_needs_save});
  rules.push_back(
      integer_rule("R011", "validation.eval_iters", [](C c) { return c.validation.eval_iters; }, 1, kMostIterations));
  rules.push_back(integer_rule("R012", "validation.eval_interval", [](C c) { return c.validation.eval_interval; }, 1));
}

}  // namespace rialto::config
