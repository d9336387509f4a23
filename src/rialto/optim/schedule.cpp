// Megatron's formulas. Source: megatron/core/optimizer_param_scheduler.py, get_lr and get_wd.
#include "rialto/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
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

template <class Style>
using Names = std::vector<std::pair<std::string, Style>>;

const Names<DecayStyle> kDecayStyles = {{"constant", DecayStyle::kConstant},
                                        {"linear", DecayStyle::kLinear},
                                        {"cosine", DecayStyle::kCosine},
                                        {"inverse-square-root", DecayStyle::kInverseSquareRoot},
                                        {"WSD", DecayStyle::kWsd}};
const Names<WsdStyle> kWsdStyles = {{"linear", WsdStyle::kLinear},
                                    {"cosine", WsdStyle::kCosine},
                                    {"exponential", WsdStyle::kExponential},
                                    {"minus_sqrt", WsdStyle::kMinusSqrt}};
const Names<IncrStyle> kIncrStyles = {
    {"constant", IncrStyle::kConstant}, {"linear", IncrStyle::kLinear}, {"cosine", IncrStyle::kCosine}};

template <class Style>
Style parse(const char* key, const std::string& got, const Names<Style>& styles) {
  std::string want;
  std::vector<std::string> known;
  for (const auto& [name, style] : styles) {
    if (name == got) return style;
    known.push_back(name);
    want += (want.empty() ? "" : ", ") + name;
  }
  const std::string near = nearest(got, known);
  throw Error(ErrorKind::kConfig, key, "unknown style",
              {.got = "'" + got + "'", .want = want, .hint = near.empty() ? "" : "did you mean '" + near + "'?"});
}

template <class Style>
std::string name_in(const Names<Style>& styles, Style style) {
  return std::ranges::find(styles, style, &std::pair<std::string, Style>::second)->first;
}

}  // namespace

double LrSchedule::lr_at(int64_t samples) const {
  const auto now = static_cast<double>(samples);
  if (warmup_samples > 0 && now <= warmup_samples) return init_lr + (max_lr - init_lr) * now / warmup_samples;
  if (style == DecayStyle::kConstant) return max_lr;
  if (samples > decay_samples) return min_lr;
  if (style == DecayStyle::kInverseSquareRoot)
    return std::max(min_lr, max_lr * std::sqrt(std::max(warmup_samples, 1.0)) / std::sqrt(std::max(now, 1.0)));
  const double ratio = (now - warmup_samples) / (static_cast<double>(decay_samples) - warmup_samples);
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

double WeightDecaySchedule::at(int64_t samples) const {
  if (style == IncrStyle::kConstant || samples > incr_samples) return end;
  const double ratio = static_cast<double>(samples) / static_cast<double>(incr_samples);
  return start + (style == IncrStyle::kLinear ? ratio : cosine(1 - ratio)) * (end - start);
}

DecayStyle parse_decay_style(const std::string& name) { return parse("scheduler.lr_decay_style", name, kDecayStyles); }
WsdStyle parse_wsd_style(const std::string& name) { return parse("scheduler.lr_wsd_decay_style", name, kWsdStyles); }
IncrStyle parse_incr_style(const std::string& name) {
  return parse("scheduler.weight_decay_incr_style", name, kIncrStyles);
}
std::string name_of(DecayStyle style) { return name_in(kDecayStyles, style); }
std::string name_of(IncrStyle style) { return name_in(kIncrStyles, style); }

}  // namespace rialto::optim
