// Peaks of GPUs. Source: NVIDIA's data sheets, bf16 tensor cores without sparsity.
#include "rialto/train/utilization.h"

#include <utility>

namespace rialto::train {

std::optional<double> known_peak_tflops(std::string_view gpu_name) {
  constexpr std::pair<std::string_view, double> kPeaks[] = {
      {"H100 PCIe", 756}, {"H100 NVL", 835}, {"H100", 989}, {"H200 NVL", 835}, {"H200", 989}, {"GH200", 989},
      {"B200", 2250},     {"A100", 312},     {"L40S", 362}, {"L4", 121},       {"A10", 125},
  };
  // "A10" is not "A100", nor "L4" "L40": what follows a match must not go on with the number.
  for (const auto& [name, peak] : kPeaks) {
    const size_t at = gpu_name.find(name);
    if (at == std::string_view::npos) continue;
    const size_t end = at + name.size();
    if (end < gpu_name.size() && (gpu_name[end] >= '0' && gpu_name[end] <= '9')) continue;
    return peak;
  }
  return std::nullopt;
}

}  // namespace rialto::train
