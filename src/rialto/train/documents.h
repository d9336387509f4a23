// Documents of a batch, as attention sees them.
#pragma once

#include <vector>

#include "rialto/train/batches.h"

namespace rialto::train {

/// Lengths of the stretches that attend within themselves: documents where rows keep them apart, else whole rows.
std::vector<int64_t> attended_lengths(const GlobalBatch& batch);

}  // namespace rialto::train
