// Megatron's learning-rate formulas. Source: megatron/core/optimizer_param_scheduler.py, get_lr.
#include "rialto/optim/schedule.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "rialto/base/error.h"

namespace rialto::optim {
namespace {

double cosine(double ratio) { return 0.5 * (std::cos(std::numbers::pi * ratio) + 1.0); }

double wsd_coefficient(WsdStyle style, double ratio) {
  switch (style) {
    case WsdStyle::kLinear:
      return 1.0 - ratio;
    case WsdStyle::kCosine:
      return cosine(ratio);
    case WsdStyle::kExponential:
      return 2.0 * std::pow(0.5, ratio) - 1.0;
    case WsdStyle::kMinusSqrt:
      return 1.0 - std::sqrt(ratio);
  }
  return 1.0;
}

[[noreturn]] void unknown_style(const char* key, const std::string& got, const std::vector<std::string>& known) {
  std::string want;
  for (const std::string& name : known) want += (want.empty() ? "" : ", ") + name;
  const std::string near = nearest(got, known);
  throw Error(ErrorKind::kConfig, key, "unknown style",
              {.got = "'" + got + "'", .want = want, .hint = near.empty() ? "" : "did you mean '" + near + "'?"});
}

}  // namespace

double LrSchedule::lr_at(int64_t samples) const {
  const auto now = static_cast<double>(samples), warmup = static_cast<double>(warmup_samples);
  if (warmup_samples > 0 && samples <= warmup_samples) return init_lr + (max_lr - init_lr) * now / warmup;
  if (style == DecayStyle::kConstant) return max_lr;
  if (samples > decay_samples) return min_lr;
  const double ratio = (now - warmup) / (static_cast<double>(decay_samples) - warmup);
  double coefficient = 1.0;
  if (style == DecayStyle::kLinear) coefficient = 1.0 - ratio;
  if (style == DecayStyle::kCosine) coefficient = cosine(ratio);
  if (style == DecayStyle::kWsd) {
    const int64_t start = decay_samples - wsd_decay_samples;
    if (samples > start) {
      coefficient =
          wsd_coefficient(wsd_style, static_cast<double>(samples - start) / static_cast<double>(wsd_decay_samples));
    }
  }
  return min_lr + coefficient * (max_lr - min_lr);
}

DecayStyle parse_decay_style(const std::string& name) {
  if (name == "constant") return DecayStyle::kConstant;
  if (name == "linear") return DecayStyle::kLinear;
  if (name == "cosine") return DecayStyle::kCosine;
  if (name == "WSD") return DecayStyle::kWsd;
  unknown_style("scheduler.lr_decay_style", name, {"constant", "linear", "cosine", "WSD"});
}

WsdStyle parse_wsd_style(const std::string& name) {
  if (name == "linear") return WsdStyle::kLinear;
  if (name == "cosine") return WsdStyle::kCosine;
  if (name == "exponential") return WsdStyle::kExponential;
  if (name == "minus_sqrt") return WsdStyle::kMinusSqrt;
  unknown_style("scheduler.lr_wsd_decay_style", name, {"linear", "cosine", "exponential", "minus_sqrt"});
}

}  // namespace rialto::optim
