// Pipeline order as data: a pure function of (layout, rank, micro-batches) gives the list a small runner interprets.
#pragma once

#include <string>
#include <vector>

#include "rialto/spec/layout.h"

namespace rialto::schedule {

enum class Act {
  kPostRecvForward,
  kForward,
  kPostSendForward,
  kPostRecvBackward,
  kBackward,
  kPostSendBackward,
  kWait,
  kReduceGrads,
  kStep
};

struct Action {
  Act act = Act::kForward;
  int chunk = 0;  ///< virtual stage on this rank
  int microbatch = 0;
  int peer = -1;  ///< pipeline rank for sends and receives
  int slot = -1;  ///< pairs a post with its wait
  bool operator==(const Action&) const = default;
};
std::string to_text(const Action& action);

/// Non-interleaved 1F1B (Narayanan et al. 2021): warm-up of pp-rank-1 forwards, one forward one backward, drain; then
/// one gradient reduction and the optimizer step. One stage is the simplest case: forward, backward per micro-batch.
/// Throws kConfig when vpp > 1 (not in this version) or num_microbatches < 1.
std::vector<Action> pipeline_order(const spec::Layout& layout, int pp_rank, int num_microbatches);

/// Plays all ranks' lists against each other; "" when every receive meets its send and nothing waits for ever, else a
/// sentence naming ranks and actions.
std::string find_deadlock(const std::vector<std::vector<Action>>& ranks);

}  // namespace rialto::schedule
