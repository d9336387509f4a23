// Timers under Megatron's names, and their lines.
#include "rialto/train/timer_lines.h"

#include <algorithm>

#include <fmt/format.h>

namespace rialto::train {
namespace {

struct Timer {
  const char* name;
  int64_t level;
  std::vector<const char*> phases;
};

}  // namespace

std::vector<std::pair<std::string, double>> timers_of(const std::map<std::string, double>& phases_ms, int64_t level) {
  static const std::vector<Timer> kTimers = {{"forward-backward", 1, {"forward", "backward"}},
                                             {"all-grads-sync", 1, {"reduce"}},
                                             {"optimizer", 1, {"optimizer"}},
                                             {"batch-generator", 2, {"data"}},
                                             {"forward-compute", 2, {"forward"}},
                                             {"backward-compute", 2, {"backward"}}};
  std::vector<std::pair<std::string, double>> timers;
  for (const Timer& timer : kTimers) {
    double sum = 0;
    for (const char* phase : timer.phases)
      if (const auto found = phases_ms.find(phase); found != phases_ms.end()) sum += found->second;
    if (timer.level <= level && sum > 0) timers.emplace_back(timer.name, sum);
  }
  return timers;
}

std::string timer_lines(const std::vector<std::map<std::string, double>>& phases_ms_of_ranks, int64_t level,
                        const std::string& option) {
  std::vector<std::string> names;  // in their order
  std::map<std::string, std::map<size_t, double>> times;
  for (size_t rank = 0; rank < phases_ms_of_ranks.size(); ++rank) {
    for (const auto& [name, ms] : timers_of(phases_ms_of_ranks[rank], level)) {
      if (!times.contains(name)) names.push_back(name);
      times[name][rank] = ms;
    }
  }
  if (names.empty()) return {};
  const bool all = option == "all";
  std::string text = all               ? "times across ranks (ms):"
                     : option == "max" ? "max time across ranks (ms):"
                                       : "(min, max) time across ranks (ms):";
  for (const std::string& name : names) {
    const auto by_time = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto [least, most] = std::ranges::minmax_element(times[name], by_time);
    if (all) {
      text += fmt::format("\n  {}:", name);
      for (const auto& [rank, ms] : times[name]) text += fmt::format("\n     rank {:2d}: {:.2f}", rank, ms);
    } else if (option == "max") {
      text += fmt::format("\n    {:.<48}: {:.2f}", name + " ", most->second);
    } else {
      text += fmt::format("\n    {:.<48}: ({:.2f}, {:.2f})", name + " ", least->second, most->second);
    }
  }
  return text;
}

}  // namespace rialto::train
