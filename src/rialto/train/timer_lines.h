// Megatron's timers behind the step line, made of the phases of an iteration.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rialto::train {

/// Megatron's timers of level 1 (forward-backward, all-grads-sync, optimizer) and 2 (batch-generator, forward-compute,
/// backward-compute) in its order, with their time out of the phases; those that did not run are left out.
std::vector<std::pair<std::string, double>> timers_of(const std::map<std::string, double>& phases_ms, int64_t level);

/// The block that Megatron prints for `option` (minmax, max, all) about the phases of every rank, times in
/// milliseconds; empty without timers. Ranks where a timer did not run are left out of its line. Source:
/// megatron/core/timers.py.
std::string timer_lines(const std::vector<std::map<std::string, double>>& phases_ms_of_ranks, int64_t level,
                        const std::string& option);

}  // namespace rialto::train
