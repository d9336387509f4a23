// The schedule of a configuration, and the same as a checkpoint records it.
#pragma once

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/config/run_config.h"
#include "rialto/optim/schedule.h"

namespace rialto::train {

/// Schedules count samples.
optim::Schedule make_schedule(const config::RunConfig& config);

/// As Megatron's OptimizerParamScheduler records it (common.pt, `opt_param_scheduler`).
Json scheduler_state(const optim::Schedule& schedule, int64_t scheduled_samples);

/// Throws kConfig naming the first value in which `schedule` differs from the checkpoint's `opt_param_scheduler`. A
/// checkpoint without one is accepted.
void check_schedule_unchanged(const fs::path& iter_dir, const optim::Schedule& schedule);

/// Puts the checkpoint's values in the place of those of `schedule`; what Megatron does not record (the start of the
/// warm-up, WSD's length, rates of other groups) stays. Throws kInput for a checkpoint without a schedule.
void take_schedule_of(const fs::path& iter_dir, optim::Schedule& schedule);

}  // namespace rialto::train
