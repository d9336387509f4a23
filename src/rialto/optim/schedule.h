// Learning-rate schedules, Megatron's: counted in samples. Source: megatron/core/optimizer_param_scheduler.py.
#pragma once

#include <cstdint>
#include <string>

namespace rialto::optim {

enum class DecayStyle { kConstant, kLinear, kCosine, kWsd };
enum class WsdStyle { kLinear, kCosine, kExponential, kMinusSqrt };

struct LrSchedule {
  double init_lr = 0, max_lr = 0, min_lr = 0;
  int64_t warmup_samples = 0, decay_samples = 0, wsd_decay_samples = 0;
  DecayStyle style = DecayStyle::kCosine;
  WsdStyle wsd_style = WsdStyle::kExponential;
  /// Learning rate of the step that starts after `samples` samples.
  double lr_at(int64_t samples) const;
};
DecayStyle parse_decay_style(const std::string& name);  ///< throws kConfig
WsdStyle parse_wsd_style(const std::string& name);

}  // namespace rialto::optim
