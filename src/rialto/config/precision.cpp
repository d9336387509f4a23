// The table of presets, and a preset with the keys that differ.
#include "rialto/config/precision.h"

#include <algorithm>

namespace rialto::config {
namespace {

constexpr Precision kBf16{.dtype = DType::kBF16};
constexpr Precision kFp16{.dtype = DType::kF16};

constexpr Precision with(Precision base, std::string_view fp8, std::string_view recipe, int64_t wide_ends = 0) {
  base.fp8 = fp8;
  base.fp8_recipe = recipe;
  base.first_last_layers_bf16 = wide_ends > 0;
  base.num_layers_at_start_in_bf16 = base.num_layers_at_end_in_bf16 = wide_ends;
  return base;
}

constexpr Precision delayed(Precision base) {
  base = with(base, "hybrid", "delayed");
  base.fp8_amax_history_len = 1024;
  base.fp8_amax_compute_algo = "max";
  return base;
}

constexpr Preset kPresets[] = {
    {"bf16_mixed", "bf16 weights and compute, fp32 main parameters and gradients", kBf16},
    {"fp32", "everything fp32", {.dtype = DType::kF32}},
    {"fp16_mixed", "fp16 weights and compute, scaled loss, fp32 main parameters and gradients", kFp16},
    {"bf16_with_fp8_delayed_scaling_mixed", "bf16; block products in FP8, scales from the steps before",
     delayed(kBf16)},
    {"bf16_with_fp8_current_scaling_mixed",
     "bf16; block products in FP8 but for first and last layer, a scale per tensor",
     with(kBf16, "hybrid", "tensorwise", 1)},
    {"bf16_with_fp8_subchannel_scaling_mixed", "bf16; block products in FP8, a scale per 128 x 128 or 1 x 128",
     with(kBf16, "hybrid", "blockwise")},
    {"bf16_with_mxfp8_mixed", "bf16; block products in FP8, a power of two per 1 x 32", with(kBf16, "e4m3", "mxfp8")},
    {"bf16_with_nvfp4_mixed",
     "bf16; block products in FP4",
     {},
     "fp4 products (E2M1, random Hadamard transforms, stochastic rounding) are not in this version"},
    {"fp16_with_fp8_delayed_scaling_mixed", "the same with fp16", delayed(kFp16)},
    {"fp16_with_fp8_current_scaling_mixed", "the same with fp16", with(kFp16, "hybrid", "tensorwise", 1)},
    {"fp16_with_fp8_subchannel_scaling_mixed", "the same with fp16", with(kFp16, "hybrid", "blockwise")},
    {"fp16_with_mxfp8_mixed", "the same with fp16", with(kFp16, "e4m3", "mxfp8")},
    {"nemotron_h_bf16_with_fp8_current_scaling_mixed", "current scaling with two bf16 layers at each end",
     with(kBf16, "hybrid", "tensorwise", 2)},
    {"nanov2_bf16_with_fp8_current_scaling_mixed", "subchannel scaling with two bf16 layers at each end",
     with(kBf16, "hybrid", "blockwise", 2)},
};

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Preset* find_preset(std::string_view name) {
  const auto* found = std::ranges::find(kPresets, name, &Preset::name);
  return found == std::end(kPresets) ? nullptr : found;
}

Precision precision_of(const RunConfig& config) {
  const Preset* preset = find_preset(config.mixed_precision);
  Precision precision = preset ? preset->precision : kBf16;
  if (precision.fp8.empty()) return precision;
  for_each_flag(precision, config.model_precision, [](auto& value, const auto& key) {
    if (key) value = *key;
  });
  return precision;
}

}  // namespace rialto::config
