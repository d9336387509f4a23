// Keys of `checkpoint:`.
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

std::vector<Field<CheckpointSection>> checkpoint_fields() {
  using C = CheckpointSection;
  return {
      field("save", &C::save, "folder that gets iter_N folders; unset: nothing is saved"),
      field("load", &C::load, "folder to resume from; empty or absent: a new run"),
      field("pretrained_checkpoint", &C::pretrained_checkpoint,
            "HF folder, hub id (ORG/NAME[@REVISION]) or native checkpoint whose weights a new run starts from"),
      field("save_interval", &C::save_interval, "iterations between saves; unset: only at the end"),
      field("ckpt_step", &C::ckpt_step, "iteration to load; unset: the newest good one"),
      field("save_optim", &C::save_optim, "save the optimizer's state"),
      field("load_optim", &C::load_optim, "resume with the optimizer's state"),
      field("save_rng", &C::save_rng,
            "a note: random numbers are functions of rng.seed and the position, so there is no state to save"),
      field(
          "separate_expert_optimizer", &C::separate_expert_optimizer,
          "the optimizer's groups as a Megatron run with expert parallelism resumes them; false: as one without does"),
      field("fully_parallel_save", &C::fully_parallel_save, "recorded for Megatron; one process writes everything"),
  };
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

}  // namespace

void add_checkpoint_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "checkpoint", &RunConfig::checkpoint, checkpoint_fields());
}

void add_checkpoint_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(integer_rule("R071", "checkpoint.save_interval", [](C c) { return c.checkpoint.save_interval; }, 1));
  rules.push_back({"R072", "checkpoint.save_interval", "unset, unless checkpoint.save is set", interval_needs_save});
  rules.push_back(integer_rule("R073", "checkpoint.ckpt_step", [](C c) { return c.checkpoint.ckpt_step; }, 0));
  rules.push_back({"R074", "checkpoint.ckpt_step", "unset, unless checkpoint.load is set", step_needs_load});
}

}  // namespace rialto::config
