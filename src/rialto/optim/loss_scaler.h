// The factor that the loss carries through the backward pass, so that small gradients do not vanish in fp16. Every rank
// decides the same way from the same gradient norm. Source: Megatron-Core optimizer/grad_scaler.py and optimizer.py.
#pragma once

#include <cstdint>
#include <optional>

namespace rialto::optim {

struct LossScalerOptions {
  std::optional<double> constant;  ///< never changes
  double initial = 4294967296.0, min = 1;
  int64_t window = 1000;   ///< iterations without overflow after which the factor doubles
  int64_t hysteresis = 2;  ///< overflows after which it is halved; then on every further one, until it doubled again
};

/// What a checkpoint keeps of a dynamic scaler: Megatron's `grad_scaler`.
struct LossScalerState {
  float scale = 1;
  int64_t growth_tracker = 0, hysteresis_tracker = 0;
};

class LossScaler {
 public:
  explicit LossScaler(const LossScalerOptions& options);
  double scale() const { return static_cast<double>(state_.scale); }
  /// fp32 and computed as Megatron does, through fp64.
  double inverse() const { return static_cast<double>(static_cast<float>(1.0 / scale())); }
  bool is_dynamic() const { return !options_.constant; }
  /// After every iteration: whether some gradient was not finite.
  void update(bool overflow);
  const LossScalerState& state() const { return state_; }
  void set_state(const LossScalerState& state) { state_ = state; }

 private:
  LossScalerOptions options_;
  LossScalerState state_;
};

}  // namespace rialto::optim
