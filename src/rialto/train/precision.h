// What a configuration's precision asks of model and optimizer.
#pragma once

#include <optional>

#include "rialto/config/run_config.h"
#include "rialto/model/block_recipes.h"
#include "rialto/optim/loss_scaler.h"

namespace rialto::train {

/// Throws kConfig when more layers than the model has shall stay out of FP8.
model::BlockPrecision block_precision(const config::RunConfig& config, int64_t num_layers);

/// Constant when optimizer.loss_scale is set, else dynamic with fp16, else none.
std::optional<optim::LossScaler> make_loss_scaler(const config::RunConfig& config);

}  // namespace rialto::train
