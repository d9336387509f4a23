// Evaluation on held-out data: the same samples every time, so two evaluations differ by the weights alone.
#pragma once

#include "rialto/config/run_config.h"
#include "rialto/train/records.h"
#include "rialto/train/setup.h"

namespace rialto::train {

/// Mean loss over the first eval_iters * global_batch_size samples of the validation data, of which each data-parallel
/// rank computes its share.
EvalRecord evaluate(const config::RunConfig& config, Setup& setup);

}  // namespace rialto::train
