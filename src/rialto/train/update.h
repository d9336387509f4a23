// The end of an iteration: from finished gradients to moved weights.
#pragma once

#include <optional>

#include "rialto/train/setup.h"
#include "rialto/train/trouble.h"

namespace rialto::train {

struct Update {
  double grad_norm = 0;            ///< before clipping, without the loss scale
  std::optional<Trouble> trouble;  ///< with the norm: then nothing moved
};

/// Norm, clipping, optimizer step; with a loss scale, its factor is taken out first and moves afterwards. The gradients
/// in setup.weights are complete (summed over micro-batches and ranks).
Update update_weights(Setup& setup, const optim::Rates& rates);

}  // namespace rialto::train
