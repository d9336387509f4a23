// From finished gradients to moved weights.
#include "rialto/train/update.h"

#include <cmath>

#include "rialto/optim/grad_norm.h"

namespace rialto::train {

Update update_weights(Setup& setup, const optim::Rates& rates) {
  const config::OptimizerSection& section = setup.config.optimizer;
  Update update;
  const double unscale = setup.loss_scaler ? setup.loss_scaler->inverse() : 1;
  update.grad_norm = setup.parallel->grad_norm() * unscale;
  if (!std::isfinite(update.grad_norm)) {
    update.trouble = Trouble::kNonfiniteNorm;
  } else if (section.grad_norm_skip_threshold && update.grad_norm > *section.grad_norm_skip_threshold) {
    update.trouble = Trouble::kLargeNorm;
  } else {
    setup.optimizer->step(rates, unscale * optim::clip_scale(update.grad_norm, section.clip_grad));
    setup.parallel->gather_weights();
  }
  if (setup.loss_scaler) setup.loss_scaler->update(update.trouble == Trouble::kNonfiniteNorm);
  return update;
}

}  // namespace rialto::train
