// From finished gradients to moved weights.
#include "rialto/train/update.h"

#include <cmath>

#include "rialto/optim/grad_norm.h"

namespace rialto::train {

Update update_weights(Setup& setup, const optim::Rates& rates) {
  Update update;
  update.grad_norm = optim::grad_norm(*setup.weights);
  if (!std::isfinite(update.grad_norm)) return update;
  setup.optimizer->step(rates, optim::clip_scale(update.grad_norm, setup.config.optimizer.clip_grad));
  update.stepped = true;
  return update;
}

}  // namespace rialto::train
