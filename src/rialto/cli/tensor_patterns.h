// Tensor names with their numbers as wildcards, so that all layers and experts of a model read as one line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/shape.h"
#include "rialto/bridge/plan.h"

namespace rialto::cli {

/// What stands for the number of layers where no config says it: no tensor's layer is as high.
inline constexpr int64_t kManyLayers = 1 << 20;

/// "model.layers.3.mlp.experts.7.up_proj.weight" -> "model.layers.{l}.mlp.experts.{e}.up_proj.weight". The first number
/// between dots is the layer: `{L+m}` from `num_layers` on, `{m}` where "mtp" stands before it; the second is the
/// expert; others stay.
struct NumberedName {
  std::string pattern;
  int64_t first = -1, second = -1;  ///< the numbers, that of `{L+m}` counted from 0; -1: there is none
};
NumberedName pattern_of(std::string_view name, int64_t num_layers);

/// Tensors of one pattern.
struct TensorGroup {
  std::string pattern;
  std::string numbers;             ///< exactly which: "l 0-35", "l 3-60: e 0-255"; "" for a single tensor without any
  std::vector<Shape> shapes;       ///< that occur; none where only names are known
  std::vector<std::string> names;  ///< all of them
  std::string note = {};
};
/// In the order of the patterns' first tensors.
std::vector<TensorGroup> group_by_pattern(const std::vector<bridge::SourceTensor>& tensors, int64_t num_layers,
                                          bool with_shapes);

}  // namespace rialto::cli
