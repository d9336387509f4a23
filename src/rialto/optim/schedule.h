// Schedules of learning rate and weight decay, Megatron's: pure functions of the samples consumed. Source:
// megatron/core/optimizer_param_scheduler.py.
#pragma once

#include <cstdint>
#include <string>

#include "rialto/optim/options.h"

namespace rialto::optim {

enum class DecayStyle { kConstant, kLinear, kCosine, kInverseSquareRoot, kWsd };
enum class WsdStyle { kLinear, kCosine, kExponential, kMinusSqrt };
enum class IncrStyle { kConstant, kLinear, kCosine };

struct LrSchedule {
  double init_lr = 0, max_lr = 0, min_lr = 0;
  double warmup_samples = 0;  ///< whole, or a fraction of the decay
  int64_t decay_samples = 0, wsd_decay_samples = 0;
  DecayStyle style = DecayStyle::kCosine;
  WsdStyle wsd_style = WsdStyle::kExponential;
  /// Learning rate of the step that starts after `samples` samples.
  double lr_at(int64_t samples) const;
};

struct WeightDecaySchedule {
  double start = 0, end = 0;
  int64_t incr_samples = 0;
  IncrStyle style = IncrStyle::kConstant;
  double at(int64_t samples) const;
};

/// Of every parameter group.
struct Schedule {
  LrSchedule lr, decoupled_lr;
  WeightDecaySchedule weight_decay;
  Rates at(int64_t samples) const {
    return {
        .lr = lr.lr_at(samples), .decoupled_lr = decoupled_lr.lr_at(samples), .weight_decay = weight_decay.at(samples)};
  }
};

// Megatron's names and back; parsing throws kConfig.
DecayStyle parse_decay_style(const std::string& name);
WsdStyle parse_wsd_style(const std::string& name);
IncrStyle parse_incr_style(const std::string& name);
std::string name_of(DecayStyle style);
std::string name_of(IncrStyle style);

}  // namespace rialto::optim
