// Plays orders against a clock.
#include "rialto/schedule/timing.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "rialto/base/error.h"

namespace rialto::schedule {
namespace {

class Clock {
 public:
  Clock(const std::vector<std::vector<Action>>& ranks, const StageTimes& times)
      : ranks_(ranks), times_(times), at_(ranks.size(), 0), now_(ranks.size(), 0), receives_(ranks.size()) {
    timing_.spans.resize(ranks.size());
    for (const auto& actions : ranks)
      for (const Action& action : actions) split_ = split_ || action.act == Act::kBackwardWeight;
  }

  Timing run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (size_t rank = 0; rank < ranks_.size(); ++rank)
        while (at_[rank] < ranks_[rank].size() && take(rank, ranks_[rank][at_[rank]])) {
          ++at_[rank];
          moved = true;
        }
    }
    for (size_t rank = 0; rank < ranks_.size(); ++rank)
      if (at_[rank] < ranks_[rank].size()) throw Error(ErrorKind::kInternal, "schedule", "the ranks wait for ever");
    return std::move(timing_);
  }

 private:
  /// (stage that gets it, micro-batch, is forward)
  using Message = std::tuple<size_t, int, bool>;

  size_t stage(size_t rank, const Action& action) const {
    return static_cast<size_t>(action.chunk) * ranks_.size() + rank;
  }

  /// False when the rank must wait for another one first.
  bool take(size_t rank, const Action& action) {
    switch (action.act) {
      case Act::kPostSendForward:
        sent_[{stage(rank, action) + 1, action.microbatch, true}] = now_[rank];
        break;
      case Act::kPostSendBackward:
        sent_[{stage(rank, action) - 1, action.microbatch, false}] = now_[rank];
        break;
      case Act::kPostRecvForward:
      case Act::kPostRecvBackward:
        receives_[rank][action.slot] = {stage(rank, action), action.microbatch, action.act == Act::kPostRecvForward};
        break;
      case Act::kWait: {
        const auto receive = receives_[rank].find(action.slot);
        if (receive == receives_[rank].end()) break;  // a send: its buffer is held, the clock does not stop
        const auto message = sent_.find(receive->second);
        if (message == sent_.end()) return false;
        now_[rank] = std::max(now_[rank], message->second);
        receives_[rank].erase(receive);
        break;
      }
      case Act::kForward:
        compute(rank, action, times_.forward);
        break;
      case Act::kBackward:
        compute(rank, action, split_ ? times_.backward * (1 - times_.weight_share) : times_.backward);
        break;
      case Act::kBackwardWeight:
        compute(rank, action, times_.backward * times_.weight_share);
        break;
      case Act::kReduceGrads:
      case Act::kStep:
        break;
    }
    return true;
  }

  void compute(size_t rank, const Action& action, double time) {
    const double start = now_[rank];
    now_[rank] += time;
    timing_.spans[rank].push_back({action, start, now_[rank]});
    timing_.total = std::max(timing_.total, now_[rank]);
  }

  const std::vector<std::vector<Action>>& ranks_;
  StageTimes times_;
  bool split_ = false;
  std::vector<size_t> at_;
  std::vector<double> now_;
  std::vector<std::map<int, Message>> receives_;  ///< slot -> what it waits for
  std::map<Message, double> sent_;
  Timing timing_;
};

}  // namespace

double Timing::idle_fraction() const {
  double busy = 0;
  for (const auto& rank : spans)
    for (const Span& span : rank) busy += span.end - span.start;
  const double all = total * static_cast<double>(spans.size());
  return all > 0 ? 1 - busy / all : 0;
}

Timing play(const std::vector<std::vector<Action>>& ranks, const StageTimes& times) {
  return Clock(ranks, times).run();
}

}  // namespace rialto::schedule
