// Keys of `validation:`: when to evaluate, and on how much.
#include <fmt/format.h>

#include "rialto/config/batch_sizes.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

std::optional<Finding> whole_micro_batches(const RunConfig& config) {
  const int64_t micro = evaluation_micro_batch(config), copies = config.data_parallel_size();
  const auto& global = config.validation.eval_global_batch_size;
  if (!config.validation.eval_micro_batch_size && !global) return {};
  const int64_t batch = global.value_or(config.train.global_batch_size);
  if (micro < 1 || batch < 1 || batch % (micro * copies) == 0) return {};
  return Finding{"the evaluation's batch is not a whole number of micro-batches",
                 {.got = fmt::format("{} with micro-batches of {}{}", batch, micro,
                                     copies == 1 ? "" : fmt::format(" on {} copies of the model", copies)),
                  .want = fmt::format("a multiple of {}", micro * copies)}};
}

}  // namespace

void add_validation_rows(std::vector<KeyRow>& rows) {
  using V = ValidationSection;
  add_rows<V>(
      rows, "validation", &RunConfig::validation,
      {field("eval_iters", &V::eval_iters, "global batches of one evaluation; 0: none"),
       field("eval_interval", &V::eval_interval, "iterations between evaluations; unset: none"),
       field("start_eval_at_iter", &V::start_eval_at_iter, "no evaluation before this iteration"),
       field("eval_global_batch_size", &V::eval_global_batch_size, "sequences of its batch; unset: training's"),
       field("eval_micro_batch_size", &V::eval_micro_batch_size, "sequences of one pass; unset: training's"),
       field("full_validation", &V::full_validation, "evaluate on all held-out samples, whatever eval_iters says")});
}

void add_validation_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(
      integer_rule("R011", "validation.eval_iters", [](C c) { return c.validation.eval_iters; }, 0, kMostIterations));
  rules.push_back(integer_rule("R012", "validation.eval_interval", [](C c) { return c.validation.eval_interval; }, 1));
  rules.push_back(
      integer_rule("R120", "validation.start_eval_at_iter", [](C c) { return c.validation.start_eval_at_iter; }, 0));
  rules.push_back(integer_rule(
      "R121", "validation.eval_global_batch_size", [](C c) { return c.validation.eval_global_batch_size; }, 1));
  rules.push_back(integer_rule(
      "R122", "validation.eval_micro_batch_size", [](C c) { return c.validation.eval_micro_batch_size; }, 1));
  rules.push_back({"R123", "validation.eval_global_batch_size",
                   "a multiple of validation.eval_micro_batch_size times the data-parallel size", whole_micro_batches});
}

}  // namespace rialto::config
