// From finished gradients to moved weights.
#include "rialto/train/update.h"

#include <cmath>

#include "rialto/optim/grad_norm.h"

namespace rialto::train {

Update update_weights(Setup& setup, const optim::Rates& rates) {
  Update update;
  const double unscale = setup.loss_scaler ? setup.loss_scaler->inverse() : 1;
  update.grad_norm = setup.parallel->grad_norm() * unscale;
  update.stepped = std::isfinite(update.grad_norm);
  if (update.stepped) {
    setup.optimizer->step(rates, unscale * optim::clip_scale(update.grad_norm, setup.config.optimizer.clip_grad));
    setup.parallel->gather_weights();
  }
  if (setup.loss_scaler) setup.loss_scaler->update(!update.stepped);
  return update;
}

}  // namespace rialto::train
