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
  kBackward,        ///< of the input, and of the weights unless they are split off
  kBackwardWeight,  ///< of the weights, left over by a backward pass that was split
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

struct OrderOptions {
  /// Micro-batches that a chunk runs before the next chunk has its turn (microbatch_group_size_per_vp_stage); 0: as
  /// many as there are stages. Of no meaning without virtual stages.
  int microbatch_group = 0;
  bool split_weight_gradients = false;  ///< kBackwardWeight apart from kBackward
  bool forward_only = false;            ///< evaluation: the same forward order and nothing else
};

/// 1F1B (Narayanan et al. 2021): forwards to fill the pipeline, one forward one backward, drain; then one gradient
/// reduction and the optimizer step. With virtual stages its interleaved form: chunk c of rank r is stage c * pp + r.
/// One stage is the simplest case: forward, backward per micro-batch. Throws kConfig for num_microbatches < 1, virtual
/// stages without a pipeline, and (with backward passes) groups below pp, above num_microbatches, or whose rest is not
/// 0 and below pp.
std::vector<Action> pipeline_order(const spec::Layout& layout, int pp_rank, int num_microbatches,
                                   const OrderOptions& options = {});
/// Forwards of a rank before its first backward. Source: Megatron-Core schedules.py, get_pp_rank_microbatches.
int warm_up_steps(const spec::Layout& layout, int pp_rank, int num_microbatches, const OrderOptions& options = {});

/// Plays the lists of all pipeline ranks against each other; "" when every receive meets its send and nothing waits for
/// ever, else a sentence naming ranks and actions.
std::string find_deadlock(const std::vector<std::vector<Action>>& ranks);

}  // namespace rialto::schedule
