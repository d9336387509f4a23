// Evaluation on held-out data: the same samples every time, so two evaluations differ by the weights alone.
#pragma once

#include "rialto/config/run_config.h"
#include "rialto/data/dataset.h"
#include "rialto/model/model.h"
#include "rialto/train/records.h"

namespace rialto::train {

/// Mean loss over the first eval_iters * global_batch_size samples of `dataset`.
EvalRecord evaluate(const model::Model& model, const data::Dataset& dataset, const config::RunConfig& config,
                    int64_t vocab, at::Device device, int64_t iteration);

}  // namespace rialto::train
