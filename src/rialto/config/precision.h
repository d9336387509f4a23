// Mixed-precision presets by name, as Megatron Bridge has them, and what a configuration asks for in the end: a preset,
// with the keys beside it that differ.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "rialto/base/dtype.h"
#include "rialto/config/run_config.h"

namespace rialto::config {

/// Numbers of a run. The FP8 fields are of no meaning without `fp8`.
struct Precision {
  DType dtype = DType::kBF16;        ///< of weights and compute
  std::string_view fp8 = {};         ///< "": none; "e4m3", or "hybrid": gradients in E5M2
  std::string_view fp8_recipe = {};  ///< "delayed", "tensorwise", "blockwise", "mxfp8"
  int64_t fp8_margin = 0, fp8_amax_history_len = 1;
  std::string_view fp8_amax_compute_algo = "most_recent";
  bool fp8_wgrad = true, first_last_layers_bf16 = false;
  int64_t num_layers_at_start_in_bf16 = 0, num_layers_at_end_in_bf16 = 0;
};

/// Calls f(value of a preset, key of `model:` that may take its place) for each flag that has both.
template <class P, class Keys, class F>
void for_each_flag(P&& precision, Keys& keys, const F& f) {
  f(precision.fp8, keys.fp8);
  f(precision.fp8_margin, keys.fp8_margin);
  f(precision.fp8_amax_history_len, keys.fp8_amax_history_len);
  f(precision.fp8_amax_compute_algo, keys.fp8_amax_compute_algo);
  f(precision.fp8_wgrad, keys.fp8_wgrad);
  f(precision.first_last_layers_bf16, keys.first_last_layers_bf16);
  f(precision.num_layers_at_start_in_bf16, keys.num_layers_at_start_in_bf16);
  f(precision.num_layers_at_end_in_bf16, keys.num_layers_at_end_in_bf16);
}

struct Preset {
  std::string_view name;
  std::string_view says;  ///< one line
  Precision precision = {};
  std::string_view refused = {};  ///< why it does not run here; "" when it does
};
/// Source: Megatron Bridge training/mixed_precision.py; `fp32` is ours.
std::span<const Preset> presets();
/// Null when there is none of that name.
const Preset* find_preset(std::string_view name);

/// A `mixed_precision:` value: a name (with "-" or "_"), null (the default), or the map of flags that Bridge writes
/// into run_config.yaml. A map becomes the preset that its flags name, and the keys of `model:` and `optimizer:` for
/// what differs. A name that is no preset is kept as it is, for the rules to refuse. Throws kConfig when a map holds an
/// unknown key or asks for what no preset here does.
void read_precision(RunConfig& config, const Node& node);

/// The preset, then `model:`'s keys that are set. Rules have passed. Views point into `config`.
Precision precision_of(const RunConfig& config);

inline constexpr std::string_view kDefaultPrecision = "bf16_mixed";

}  // namespace rialto::config
