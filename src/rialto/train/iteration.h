// One training iteration: the next global batch, its gradients, the update, the counters.
#pragma once

#include "rialto/config/run_config.h"
#include "rialto/train/records.h"
#include "rialto/train/setup.h"

namespace rialto::train {

struct IterationOutcome {
  StepRecord record;
  /// False: the loss is not finite, or the gradient norm without a loss scale; weights and counters are as before.
  bool done = false;
};

IterationOutcome run_training_iteration(const config::RunConfig& config, Setup& setup);

}  // namespace rialto::train
