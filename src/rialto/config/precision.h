// Mixed-precision presets by name, as Megatron Bridge has them: those that run here, and why the others do not.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "rialto/base/schema.h"

namespace rialto::config {

struct Preset {
  std::string_view name;
  std::string_view refused;  ///< why it does not run here; "" when it does
};
/// Source: Megatron Bridge training/mixed_precision.py; `fp32` is ours.
std::span<const Preset> presets();

/// The preset's name of a `mixed_precision:` value: a name (with "-" or "_"), null (the default), or the map of flags
/// that Bridge writes into run_config.yaml. A name that is no preset is returned as it is, for the rules to refuse.
/// Throws kConfig when a map holds an unknown key or asks for what no preset here does.
std::string read_precision(const Node& node);

inline constexpr std::string_view kDefaultPrecision = "bf16_mixed";

}  // namespace rialto::config
