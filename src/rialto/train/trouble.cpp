// Spikes and what is not finite.
#include "rialto/train/trouble.h"

#include <algorithm>

#include <fmt/format.h>

namespace rialto::train {
namespace {

/// The upper one of an even number of values.
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Remedy remedy(const config::ResilienceSection& section, Trouble trouble) {
  if (trouble == Trouble::kLargeNorm) return Remedy::kSkip;  // what its key says
  const std::string& name = trouble == Trouble::kSpike ? section.on_spike : section.on_nonfinite;
  if (name == "skip") return Remedy::kSkip;
  if (name == "rewind") return Remedy::kRewind;
  return Remedy::kStop;
}

bool is_spike(const config::ResilienceSection& section, const std::vector<double>& recent, double loss) {
  if (section.on_spike == "none" || static_cast<int64_t>(recent.size()) < section.spike_window) return false;
  return loss > section.spike_factor * median(recent);
}

void remember_loss(const config::ResilienceSection& section, std::vector<double>& recent, double loss) {
  if (section.on_spike == "none") return;
  recent.push_back(loss);
  const auto surplus = static_cast<int64_t>(recent.size()) - section.spike_window;
  if (surplus > 0) recent.erase(recent.begin(), recent.begin() + surplus);
}

std::string describe(Trouble trouble, const config::ResilienceSection& section, const std::vector<double>& recent) {
  switch (trouble) {
    case Trouble::kNonfiniteLoss:
      return "the loss is not finite";
    case Trouble::kNonfiniteNorm:
      return "the gradient's norm is not finite";
    case Trouble::kLargeNorm:
      return "the gradient's norm is above optimizer.grad_norm_skip_threshold";
    case Trouble::kSpike:
      return fmt::format("the loss is more than {} times {:.4g}, the median of the last {}", section.spike_factor,
                         median(recent), recent.size());
  }
  return "";
}

}  // namespace rialto::train
