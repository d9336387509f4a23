// Growing and shrinking of the loss's factor.
#include "rialto/optim/loss_scaler.h"

#include <algorithm>

namespace rialto::optim {

LossScaler::LossScaler(const LossScalerOptions& options)
    : options_(options),
      state_{.scale = static_cast<float>(options.constant.value_or(options.initial)),
             .hysteresis_tracker = options.hysteresis} {}

void LossScaler::update(bool overflow) {
  if (options_.constant) return;
  if (overflow) {
    state_.growth_tracker = 0;
    if (--state_.hysteresis_tracker <= 0)
      state_.scale = std::max(state_.scale * 0.5F, static_cast<float>(options_.min));
    return;
  }
  if (++state_.growth_tracker < options_.window) return;
  state_.growth_tracker = 0;
  state_.hysteresis_tracker = options_.hysteresis;
  state_.scale *= 2;
}

}  // namespace rialto::optim
