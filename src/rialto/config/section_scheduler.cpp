// Keys of `scheduler:`: learning rate and weight decay over the run.
#include <fmt/format.h>

#include "rialto/config/batch_sizes.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

std::vector<Field<SchedulerSection>> scheduler_fields() {
  using S = SchedulerSection;
  return {
      field("lr_decay_style", &S::lr_decay_style, "constant, linear, cosine or WSD"),
      field("lr_decay_iters", &S::lr_decay_iters, "iteration at which the decay ends; unset: train.train_iters"),
      field("lr_wsd_decay_iters", &S::lr_wsd_decay_iters, "iterations of the final decay of WSD"),
      field("lr_wsd_decay_style", &S::lr_wsd_decay_style, "linear, cosine, exponential or minus_sqrt"),
      field("lr_warmup_iters", &S::lr_warmup_iters, "iterations of linear warm-up"),
      field("lr_warmup_init", &S::lr_warmup_init, "learning rate at the start of the warm-up"),
      field("override_opt_param_scheduler", &S::override_opt_param_scheduler,
            "resume although the schedule differs from the checkpoint's"),
  };
}

int64_t decay_iters(const RunConfig& config) {
  return config.scheduler.lr_decay_iters.value_or(planned_iterations(config.train));
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

}  // namespace

void add_scheduler_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "scheduler", &RunConfig::scheduler, scheduler_fields());
}

void add_scheduler_rules(std::vector<Rule>& rules) {
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

}  // namespace rialto::config
