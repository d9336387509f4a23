// Model FLOPs utilization: what the model needed of what the device can do.
#pragma once

#include <optional>
#include <string_view>

namespace rialto::train {

/// Dense bf16 TFLOP/s of a GPU by its name, as its maker states them; nullopt: unknown.
std::optional<double> known_peak_tflops(std::string_view gpu_name);

}  // namespace rialto::train
