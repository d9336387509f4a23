// Keys of `resilience:`, the one section of our own: what to do when a loss or a gradient goes wrong.
#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

bool rewinds(const RunConfig& config) {
  return config.resilience.on_nonfinite == "rewind" || config.resilience.on_spike == "rewind";
}

Found rewind_needs_checkpoints(const RunConfig& config) {
  if (!rewinds(config)) return {};
  const CheckpointSection& checkpoint = config.checkpoint;
  const char* lacks = checkpoint.save.empty()     ? "checkpoint.save unset"
                      : !checkpoint.save_interval ? "checkpoint.save_interval unset"
                      : !checkpoint.save_optim    ? "checkpoint.save_optim=false"
                      : !checkpoint.load_optim    ? "checkpoint.load_optim=false"
                                                  : nullptr;
  if (lacks == nullptr) return {};
  return Finding{"there would be nothing to go back to",
                 {.got = lacks, .want = "checkpoint.save and checkpoint.save_interval, with the optimizer"}};
}

}  // namespace

void add_resilience_rows(std::vector<KeyRow>& rows) {
  using R = ResilienceSection;
  add_rows<R>(
      rows, "resilience", &RunConfig::resilience,
      {field("on_nonfinite", &R::on_nonfinite,
             "a loss or gradient norm that is not finite: stop; skip the update; rewind to the newest checkpoint and "
             "leave the iteration's data out"),
       field("on_spike", &R::on_spike, "a loss that is a spike: none (train on it), stop, skip or rewind"),
       field("spike_factor", &R::spike_factor, "a loss above this many times the median of spike_window is a spike"),
       field("spike_window", &R::spike_window,
             "losses that the median is taken of: the last trained iterations'; before there are as many, none is"),
       field("max_skipped_iterations", &R::max_skipped_iterations,
             "iterations of a run that may be skipped or rewound over; one more stops it")});
}

void add_resilience_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(name_rule("R130", "resilience.on_nonfinite", [](C c) { return c.resilience.on_nonfinite; },
                            {"stop", "skip", "rewind"}));
  rules.push_back(name_rule("R131", "resilience.on_spike", [](C c) { return c.resilience.on_spike; },
                            {"none", "stop", "skip", "rewind"}));
  rules.push_back(
      number_rule("R132", "resilience.spike_factor", [](C c) { return c.resilience.spike_factor; }, 1, 1e9));
  rules.push_back(
      integer_rule("R133", "resilience.spike_window", [](C c) { return c.resilience.spike_window; }, 1, 100000));
  rules.push_back(integer_rule(
      "R134", "resilience.max_skipped_iterations", [](C c) { return c.resilience.max_skipped_iterations; }, 1));
  rules.push_back({"R135", "resilience.on_spike",
                   "rewind (like on_nonfinite) only with checkpoint.save, save_interval and save_optim",
                   rewind_needs_checkpoints});
}

}  // namespace rialto::config
