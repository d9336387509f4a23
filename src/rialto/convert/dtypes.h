// Which dtype each side of a map gets.
#pragma once

#include <vector>

#include "rialto/bridge/piece.h"
#include "rialto/spec/param.h"

namespace rialto::convert {

/// The narrowest type that holds every value of both.
DType join(DType a, DType b);

/// Parameters that share a disk key (layers of a stack) get one native dtype that holds them all.
void join_stacks(bridge::Map& map, const std::vector<spec::Param>& params);

/// Every native dtype but the pinned ones becomes `dtype`.
void cast_native(bridge::Map& map, DType dtype);

/// HF tensors take the dtype of the native tensors they come from.
void follow_native(bridge::Map& map);

/// The dtype of most native elements.
DType main_dtype(const bridge::Map& map);

}  // namespace rialto::convert
