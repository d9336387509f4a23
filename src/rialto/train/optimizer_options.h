// The optimizer of a configuration.
#pragma once

#include "rialto/config/run_config.h"
#include "rialto/optim/options.h"

namespace rialto::train {

optim::Options optimizer_options(const config::RunConfig& config);

}  // namespace rialto::train
