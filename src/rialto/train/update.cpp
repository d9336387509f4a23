// From finished gradients to moved weights.
#include "rialto/train/update.h"

#include <cmath>

#include "rialto/optim/grad_norm.h"

namespace rialto::train {

Update update_weights(const config::RunConfig& config, Setup& setup, const optim::Rates& rates) {
  Update update;
  update.grad_norm = setup.parallel->grad_norm();
  if (!std::isfinite(update.grad_norm)) return update;
  setup.optimizer->step(rates, optim::clip_scale(update.grad_norm, config.optimizer.clip_grad));
  setup.parallel->gather_weights();
  update.stepped = true;
  return update;
}

}  // namespace rialto::train
