// One training iteration: the next global batch, its gradients, the update, the counters.
#pragma once

#include <chrono>
#include <optional>

#include "rialto/config/batch_sizes.h"
#include "rialto/train/records.h"
#include "rialto/train/setup.h"
#include "rialto/train/step.h"
#include "rialto/train/trouble.h"

namespace rialto::train {

/// Samples of the next iteration's global batch.
int64_t running_batch(const Setup& setup);

struct IterationOutcome {
  StepRecord record = {};               ///< without what finish_iteration fills in
  std::optional<Trouble> trouble = {};  ///< set: nothing moved
  bool overflowed = false;              ///< gradients were too large under the loss scale: the weights did not move
  config::BatchSizes sizes = {};
  std::chrono::steady_clock::time_point start;
};
/// Everything but the counters.
IterationOutcome run_training_iteration(Setup& setup, const ForwardStep& forward_step);
/// Moves the counters past the iteration, those of the schedules and of the watch over losses only when it moved the
/// weights, and completes its record.
void finish_iteration(Setup& setup, IterationOutcome& outcome);

/// True when the next iteration is one of train.iterations_to_skip, or was gone back from.
bool is_left_out(const Setup& setup);
/// Passes over the next iteration's data: the counters go on, except the schedule's; nothing is trained.
LeftOutRecord leave_out_iteration(Setup& setup);

}  // namespace rialto::train
