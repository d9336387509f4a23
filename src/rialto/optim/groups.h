// Which rule and which rates a weight has, and the flat buffers cut into segments of one kind.
#pragma once

#include <vector>

#include "rialto/model/weights.h"
#include "rialto/optim/options.h"

namespace rialto::optim {

/// A parameter group of Megatron's.
struct Group {
  bool decoupled_lr = false;  ///< embedding and output layer, which may have a learning rate of their own
  bool decay = true;
  bool operator==(const Group&) const = default;
};
/// Norms and biases do not decay; norms of queries and keys do with decay_qk_norms. Source: Megatron-Core
/// optimizer/__init__.py, get_standard_config_overrides.
Group group_of(const spec::Param& param, const Options& options);

/// The rule of one parameter: options.kind, besides what Muon leaves to Adam: embedding, output layer, all that is not
/// a matrix. Source: Megatron-Core optimizer/muon.py.
Kind rule_of(const spec::Param& param, const Options& options);

/// Names of the moments of a rule as checkpoints have them.
std::vector<const char*> moment_names(Kind rule, const Options& options);

/// A part of the flat buffers that is updated at once.
struct Segment {
  Range range;
  Group group;
  Kind rule = Kind::kAdam;
  bool offloaded = false;
  size_t weight = 0;  ///< index in weights.all(): the first; Muon's segments are one whole weight
};

/// `owned` (ascending, disjoint) cut into segments: neighbours that share everything are one, with the padding between
/// them, which is zero and stays so. Frozen weights have none. The first options.offload_fraction of the elements are
/// offloaded. Throws kInternal when Muon is given a part of a weight.
std::vector<Segment> make_segments(const model::Weights& weights, const Options& options,
                                   const std::vector<Range>& owned);

}  // namespace rialto::optim
