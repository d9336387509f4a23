// The learning-rate schedule of a configuration, and the same as a checkpoint records it.
#pragma once

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/config/run_config.h"
#include "rialto/optim/options.h"
#include "rialto/optim/schedule.h"

namespace rialto::train {

/// Iterations times the global batch: schedules count samples.
optim::LrSchedule make_schedule(const config::RunConfig& config);

/// What the optimizer is told for the step that starts after `samples` samples.
optim::Rates rates_at(const config::RunConfig& config, const optim::LrSchedule& schedule, int64_t samples);

/// As Megatron's OptimizerParamScheduler records it (common.pt, `opt_param_scheduler`).
Json scheduler_state(const config::RunConfig& config, const optim::LrSchedule& schedule, int64_t scheduled_samples);

/// Throws kConfig naming the first value in which `current` differs from the checkpoint's `opt_param_scheduler`. A
/// checkpoint without one is accepted.
void check_schedule_unchanged(const fs::path& iter_dir, const Json& current);

}  // namespace rialto::train
