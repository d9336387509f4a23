// Under which keys a foreign checkpoint may hold a parameter, and where in that tensor it lies.
#pragma once

#include <string>
#include <vector>

#include "rialto/spec/param.h"

namespace rialto::store {

/// A key that may hold a parameter: the parameter is the box at `axes` (layer, expert) of that tensor.
struct KeyCandidate {
  std::string key;
  std::vector<spec::DiskAxis> axes;  ///< size -1: whatever the checkpoint has
};

/// In order of preference: the parameter's own key and aliases, the local layer spec's spelling, newer Core's name
/// for the layer inside a prediction block, then each of them in the other form (stacked for per layer, per layer for
/// stacked). `prefix`: "optimizer.state.exp_avg." or "".
std::vector<KeyCandidate> key_candidates(const spec::Param& param, const std::string& prefix);

}  // namespace rialto::store
