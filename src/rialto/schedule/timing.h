// How long an order takes when every stage is given its times: what a pipeline loses by waiting.
#pragma once

#include <vector>

#include "rialto/schedule/actions.h"

namespace rialto::schedule {

/// Times of one chunk and one micro-batch, in any unit. `backward`: of inputs and weights together; where an order
/// splits them, the weights' share is `weight_share` of it. Messages take no time of their own.
struct StageTimes {
  double forward = 1, backward = 2, weight_share = 0.5;
};

struct Span {
  Action action;
  double start = 0, end = 0;
};

struct Timing {
  double total = 0;                      ///< until the last rank has computed
  std::vector<std::vector<Span>> spans;  ///< of each rank, what it computes, in order
  /// Share of the ranks' time in which they wait.
  double idle_fraction() const;
};

/// Plays the lists of all pipeline ranks against a clock. Throws kInternal when they wait for ever (find_deadlock says
/// where).
Timing play(const std::vector<std::vector<Action>>& ranks, const StageTimes& times = {});

}  // namespace rialto::schedule
