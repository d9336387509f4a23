// Keys of `logger:` and `rng:`: what a run prints and records, and its seed.
#include "rialto/config/section_tables.h"

namespace rialto::config {

void add_logger_rows(std::vector<KeyRow>& rows) {
  using L = LoggerSection;
  add_rows<L>(rows, "logger", &RunConfig::logger,
              {field("log_interval", &L::log_interval, "iterations between step lines"),
               field("metrics_jsonl", &L::metrics_jsonl,
                     "file with one JSON record per iteration; unset: SAVE/metrics.jsonl")});
  add_rows<RngSection>(rows, "rng", &RunConfig::rng, {field("seed", &RngSection::seed, "seed of random weights")});
}

void add_logger_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(integer_rule("R081", "logger.log_interval", [](C c) { return c.logger.log_interval; }, 1));
}

}  // namespace rialto::config
