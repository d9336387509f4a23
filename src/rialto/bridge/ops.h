// What each op makes of a native parameter's view: HF tensors, and which boxes of them are which boxes of the
// parameter.
#pragma once

#include <cstdint>
#include <vector>

#include "rialto/base/shape.h"
#include "rialto/bridge/param_rows.h"
#include "rialto/bridge/piece.h"
#include "rialto/spec/param.h"

namespace rialto::bridge {

/// Two boxes of equal sizes; axes as in Piece.
struct BoxPair {
  spec::Extent hf, native;
  std::vector<uint8_t> axes = {};
};

/// One HF tensor of a row as far as the parameter is concerned (a packed one holds other experts too).
struct HfPart {
  Shape shape, view;
  std::vector<BoxPair> pairs;
};

/// The parts in the order of the row's names. `num_experts` counts for packed ops. Throws kInternal when the op does
/// not fit the view.
std::vector<HfPart> parts_of(Op op, const spec::Param& param, int64_t num_experts);

}  // namespace rialto::bridge
