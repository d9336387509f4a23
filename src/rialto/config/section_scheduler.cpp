// Keys of `scheduler:`: learning rate and weight decay over the run.
#include <cmath>

#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;
using C = const RunConfig&;

std::vector<Field<SchedulerSection>> scheduler_fields() {
  using S = SchedulerSection;
  return {
      field("lr_decay_style", &S::lr_decay_style, "constant, linear, cosine, inverse-square-root or WSD"),
      field("lr_decay_iters", &S::lr_decay_iters, "iteration at which the decay ends; unset: train.train_iters"),
      field("lr_decay_samples", &S::lr_decay_samples, "the same in samples"),
      field("lr_wsd_decay_iters", &S::lr_wsd_decay_iters, "iterations of the final decay of WSD"),
      field("lr_wsd_decay_samples", &S::lr_wsd_decay_samples, "the same in samples"),
      field("lr_wsd_decay_style", &S::lr_wsd_decay_style, "linear, cosine, exponential or minus_sqrt"),
      field("lr_warmup_iters", &S::lr_warmup_iters, "iterations of linear warm-up"),
      field("lr_warmup_samples", &S::lr_warmup_samples, "the same in samples"),
      field("lr_warmup_fraction", &S::lr_warmup_fraction, "the same as a share of the decay"),
      field("lr_warmup_init", &S::lr_warmup_init, "learning rate at the start of the warm-up"),
      field("start_weight_decay", &S::start_weight_decay, "weight decay at the start; unset: optimizer.weight_decay"),
      field("end_weight_decay", &S::end_weight_decay, "weight decay at the end; unset: optimizer.weight_decay"),
      field("weight_decay_incr_style", &S::weight_decay_incr_style, "constant, linear or cosine"),
      field("no_weight_decay_cond_type", &S::no_weight_decay_cond_type,
            "unset, or qwen3_next: norms of queries and keys decay too"),
      field("override_opt_param_scheduler", &S::override_opt_param_scheduler,
            "resume although the schedule differs from the checkpoint's"),
      field("use_checkpoint_opt_param_scheduler", &S::use_checkpoint_opt_param_scheduler,
            "resume with the checkpoint's schedule instead of this one"),
  };
}

Found warmup_ends(C config) {
  const ScheduleLengths lengths = schedule_lengths(config);
  const bool ends = lengths.warmup < static_cast<double>(lengths.decay);
  if (lengths.decay < 1 || ends || config.scheduler.lr_warmup_fraction) return {};
  return Finding{"the warm-up does not end before the decay does",
                 {.got = fmt::format("{} samples of warm-up", lengths.warmup),
                  .want = fmt::format("fewer than {} (lr_decay_iters or lr_decay_samples)", lengths.decay)}};
}

Found warmup_start(C config) {
  const double got = config.scheduler.lr_warmup_init, high = config.optimizer.lr;
  if ((got >= 0 && got <= high) || !(high >= 0)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", got), .want = fmt::format("0 to {} (optimizer.lr)", high)}};
}

Found wsd_length(C config) {
  const SchedulerSection& scheduler = config.scheduler;
  if (scheduler.lr_decay_style != "WSD") return {};
  if (!scheduler.lr_wsd_decay_iters && !scheduler.lr_wsd_decay_samples)
    return Finding{"WSD needs the length of its decay", {.got = "unset", .want = "iterations or samples"}};
  const ScheduleLengths lengths = schedule_lengths(config);
  const double most = static_cast<double>(lengths.decay) - lengths.warmup;
  if (lengths.wsd_decay >= 1 && (static_cast<double>(lengths.wsd_decay) <= most || most < 1)) return {};
  return Finding{"does not fit between the warm-up and the end of the decay",
                 {.got = fmt::format("{} samples", lengths.wsd_decay), .want = fmt::format("1 to {}", most)}};
}

/// Bridge's: the fields of one kind alone.
Found one_unit(C config) {
  const SchedulerSection& s = config.scheduler;
  const bool iterations = s.lr_decay_iters || s.lr_wsd_decay_iters || s.lr_warmup_iters > 0;
  const bool samples = s.lr_decay_samples || s.lr_wsd_decay_samples || s.lr_warmup_samples > 0;
  if (!iterations || !samples) return {};
  return Finding{"lengths in samples stand beside lengths in iterations", {.want = "one of them"}};
}

Found one_warmup(C config) {
  const SchedulerSection& s = config.scheduler;
  if (!s.lr_warmup_fraction) return {};
  const double got = *s.lr_warmup_fraction;
  if (!(got >= 0 && got < 1))
    return Finding{"out of range", {.got = fmt::format("{}", got), .want = "at least 0 and below 1"}};
  if (s.lr_warmup_iters == 0 && s.lr_warmup_samples == 0) return {};
  return Finding{"stands beside a count of the same warm-up",
                 {.got = fmt::format("{}", got), .want = "lr_warmup_fraction, lr_warmup_iters or lr_warmup_samples"}};
}

Found weight_decays(C config) {
  const SchedulerSection& s = config.scheduler;
  if (s.start_weight_decay.has_value() != s.end_weight_decay.has_value())
    return Finding{"one of start_weight_decay and end_weight_decay is unset", {.want = "both, or neither"}};
  const bool constant = s.weight_decay_incr_style == "constant";
  if (!s.start_weight_decay)
    return constant ? Found{}
                    : Finding{"a weight decay that changes needs its start and its end",
                              {.got = s.weight_decay_incr_style,
                               .want = "scheduler.start_weight_decay and scheduler.end_weight_decay"}};
  const double start = *s.start_weight_decay, end = *s.end_weight_decay;
  const std::string got = fmt::format("{} to {}", start, end);
  if (!(start >= 0 && end >= start && end <= 1e6))
    return Finding{"out of range", {.got = got, .want = "0 <= start <= end <= 1e6"}};
  if (constant && start != end)
    return Finding{"a constant weight decay has one value",
                   {.got = got, .hint = "scheduler.weight_decay_incr_style=linear or cosine"}};
  return {};
}

Found one_schedule(C config) {
  const SchedulerSection& s = config.scheduler;
  if (!s.use_checkpoint_opt_param_scheduler || !s.override_opt_param_scheduler) return {};
  return Finding{"asks for the checkpoint's schedule, and override_opt_param_scheduler for this one",
                 {.got = "both", .want = "one of them"}};
}

}  // namespace

ScheduleLengths schedule_lengths(C config) {
  const SchedulerSection& s = config.scheduler;
  const int64_t batch = config.train.global_batch_size;
  // Rules read this before any of them has refused a number, so products end at the largest one.
  const auto times_batch = [&](int64_t iterations) {
    int64_t product = 0;
    return __builtin_mul_overflow(iterations, batch, &product) ? INT64_MAX : product;
  };
  const auto samples = [&](const std::optional<int64_t>& count, const std::optional<int64_t>& iterations) {
    return count ? *count : times_batch(iterations.value_or(0));
  };
  ScheduleLengths lengths;
  lengths.run = config.train.train_samples.value_or(times_batch(config.train.train_iters));
  lengths.decay = s.lr_decay_samples || s.lr_decay_iters ? samples(s.lr_decay_samples, s.lr_decay_iters) : lengths.run;
  lengths.wsd_decay = samples(s.lr_wsd_decay_samples, s.lr_wsd_decay_iters);
  lengths.warmup = static_cast<double>(s.lr_warmup_samples) + static_cast<double>(times_batch(s.lr_warmup_iters));
  if (s.lr_warmup_fraction) lengths.warmup = *s.lr_warmup_fraction * static_cast<double>(lengths.decay);
  return lengths;
}

void add_scheduler_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "scheduler", &RunConfig::scheduler, scheduler_fields());
}

void add_scheduler_rules(std::vector<Rule>& rules) {
  rules.push_back(name_rule("R031", "scheduler.lr_decay_style", [](C c) { return c.scheduler.lr_decay_style; },
                            {"constant", "linear", "cosine", "inverse-square-root", "WSD"}));
  rules.push_back(name_rule("R032", "scheduler.lr_wsd_decay_style", [](C c) { return c.scheduler.lr_wsd_decay_style; },
                            {"linear", "cosine", "exponential", "minus_sqrt"}));
  rules.push_back(integer_rule(
      "R033", "scheduler.lr_decay_iters", [](C c) { return c.scheduler.lr_decay_iters; }, 1, kMostIterations));
  rules.push_back(integer_rule(
      "R034", "scheduler.lr_warmup_iters", [](C c) { return c.scheduler.lr_warmup_iters; }, 0, kMostIterations));
  rules.push_back({"R035", "scheduler.lr_warmup_iters", "a warm-up that is shorter than the decay", warmup_ends});
  rules.push_back({"R036", "scheduler.lr_warmup_init", "0 to optimizer.lr", warmup_start});
  rules.push_back({"R037", "scheduler.lr_wsd_decay_iters",
                   "set for WSD (or lr_wsd_decay_samples); fits after the warm-up", wsd_length});
  rules.push_back(integer_rule(
      "R170", "scheduler.lr_decay_samples", [](C c) { return c.scheduler.lr_decay_samples; }, 1, kMostIterations));
  rules.push_back(integer_rule(
      "R171", "scheduler.lr_warmup_samples", [](C c) { return c.scheduler.lr_warmup_samples; }, 0, kMostIterations));
  rules.push_back(
      {"R172", "scheduler.lr_decay_samples", "no lengths in iterations beside lengths in samples", one_unit});
  rules.push_back(
      {"R173", "scheduler.lr_warmup_fraction", "at least 0 and below 1; without a count of the warm-up", one_warmup});
  rules.push_back(name_rule("R174", "scheduler.weight_decay_incr_style",
                            [](C c) { return c.scheduler.weight_decay_incr_style; }, {"constant", "linear", "cosine"}));
  rules.push_back({"R175", "scheduler.start_weight_decay",
                   "with end_weight_decay, not above it; equal to it when the style is constant", weight_decays});
  rules.push_back({"R176", "scheduler.use_checkpoint_opt_param_scheduler", "not beside override_opt_param_scheduler",
                   one_schedule});
  rules.push_back({"R177", "scheduler.no_weight_decay_cond_type", "unset or qwen3_next", [](C c) -> Found {
                     const std::string& got = c.scheduler.no_weight_decay_cond_type;
                     if (got.empty() || got == "qwen3_next") return {};
                     return Finding{"unknown name", {.got = fmt::format("'{}'", got), .want = "unset or qwen3_next"}};
                   }});
}

}  // namespace rialto::config
