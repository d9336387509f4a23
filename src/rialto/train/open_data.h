// The data of a run, by what its configuration asks for.
#pragma once

#include "rialto/config/run_config.h"
#include "rialto/train/setup.h"

namespace rialto::train {

/// Opens setup.train_data for every sample up to the run's end, and setup.valid_data when the run evaluates.
/// Throws kConfig, kInput; kIo when the index cache cannot be written.
void open_data(const config::RunConfig& config, const Hooks& hooks, Setup& setup);

}  // namespace rialto::train
