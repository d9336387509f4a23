// A configuration that breaks no rule, for tests that spoil it.
#pragma once

#include "rialto/config/run_config.h"

namespace rialto::config {

inline RunConfig good() {
  RunConfig config;
  config.train = {.micro_batch_size = 2, .global_batch_size = 8, .train_iters = 100};
  config.dataset.data_path = {"data"};
  config.checkpoint.save = "out";
  return config;
}

}  // namespace rialto::config
