// The order of a pipeline rank: 1F1B, and interleaved 1F1B over virtual stages.
#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/schedule/actions.h"

namespace rialto::schedule {
namespace {

struct Work {
  int microbatch = 0, chunk = 0;
};

/// Forward order of every rank: group by group, in a group chunk by chunk. The backward order is the same with the
/// chunks counted from the end. Source: Narayanan et al. 2021, section 2.2.
std::vector<Work> forward_table(int num_chunks, int group, int num_microbatches) {
  std::vector<Work> table;
  for (int first = 0; first < num_microbatches; first += group)
    for (int chunk = 0; chunk < num_chunks; ++chunk)
      for (int m = first; m < std::min(first + group, num_microbatches); ++m) table.push_back({m, chunk});
  return table;
}

/// One direction of one rank: what it computes in which order, what it gets from `source` and hands to `target`.
///
/// A receive is posted one step before its data are used, so that it runs beside the computation. Data that come round
/// from the other end of the pipeline arrive `num_stages` steps after their start and may have to wait for their turn:
/// their receive is posted when they are due, or the sender (and everyone behind it) would wait for that turn too.
class Direction {
 public:
  Direction(const spec::Layout& layout, int rank, std::vector<Work> table, bool forward)
      : table_(std::move(table)), forward_(forward), stages_(layout.pp), last_chunk_(layout.vpp - 1), rank_(rank) {
    const int step = forward ? 1 : -1;
    source_ = (rank - step + stages_) % stages_;
    target_ = (rank + step + stages_) % stages_;
    plan_receives();
  }

  int size() const { return static_cast<int>(table_.size()); }

  /// Step `k`: posts what is due, waits for what it uses, computes, sends.
  void run(int k, int& next_slot, std::vector<Action>& actions) {
    while (next_receive_ < receives_.size() && receives_[next_receive_].post_at <= k) {
      Receive& receive = receives_[next_receive_++];
      receive.slot = next_slot++;
      const Work& work = table_[static_cast<size_t>(receive.use)];
      actions.push_back({.act = forward_ ? Act::kPostRecvForward : Act::kPostRecvBackward,
                         .chunk = work.chunk,
                         .microbatch = work.microbatch,
                         .peer = source_,
                         .slot = receive.slot});
      waiting_.push_back(receive);
    }
    if (!waiting_.empty() && waiting_.front().use == k) {
      actions.push_back({.act = Act::kWait, .slot = waiting_.front().slot});
      waiting_.pop_front();
    }
    const Work& work = table_[static_cast<size_t>(k)];
    actions.push_back(
        {.act = forward_ ? Act::kForward : Act::kBackward, .chunk = work.chunk, .microbatch = work.microbatch});
    if (is_end(rank_, work.chunk)) return;
    finish(actions);
    sent_ = next_slot++;
    actions.push_back({.act = forward_ ? Act::kPostSendForward : Act::kPostSendBackward,
                       .chunk = work.chunk,
                       .microbatch = work.microbatch,
                       .peer = target_,
                       .slot = sent_});
  }

  /// The last send is done: its buffer is free.
  void finish(std::vector<Action>& actions) {
    if (sent_ < 0) return;
    actions.push_back({.act = Act::kWait, .slot = sent_});
    sent_ = -1;
  }

 private:
  struct Receive {
    int use = 0, post_at = 0, slot = -1;
  };

  bool is_end(int rank, int chunk) const {
    return forward_ ? rank == stages_ - 1 && chunk == last_chunk_ : rank == 0 && chunk == 0;
  }
  bool is_start(int rank, int chunk) const {
    return forward_ ? rank == 0 && chunk == 0 : rank == stages_ - 1 && chunk == last_chunk_;
  }

  void plan_receives() {
    const bool from_other_end = rank_ == (forward_ ? 0 : stages_ - 1);
    std::vector<int> sent_at;  // steps of the other end whose results come round, in order
    for (int k = 0; from_other_end && k < size(); ++k)
      if (!is_end(source_, table_[static_cast<size_t>(k)].chunk)) sent_at.push_back(k);
    for (int k = 0; k < size(); ++k) {
      if (is_start(rank_, table_[static_cast<size_t>(k)].chunk)) continue;
      const int due = from_other_end ? sent_at[receives_.size()] + stages_ - 1 : k - 1;
      receives_.push_back({.use = k, .post_at = std::min(due, k)});
    }
  }

  std::vector<Work> table_;
  bool forward_;
  int stages_, last_chunk_, rank_;
  int source_ = 0, target_ = 0, sent_ = -1;
  std::vector<Receive> receives_;  ///< in the order of use, which is the order of sending
  size_t next_receive_ = 0;
  std::deque<Receive> waiting_;
};

/// Weight gradients that a split backward pass leaves for later: rank r keeps up to r of them, which fill the drain of
/// the pipeline without holding more than the first rank does anyway. Source: Qi et al. 2023, ZB-H1.
class WeightGradients {
 public:
  explicit WeightGradients(int most) : most_(static_cast<size_t>(most)) {}
  void after_backward(const Action& backward, bool draining, std::vector<Action>& actions) {
    pending_.push_back(backward);
    if (draining || pending_.size() > most_) run_one(actions);
  }
  void finish(std::vector<Action>& actions) {
    while (!pending_.empty()) run_one(actions);
  }

 private:
  void run_one(std::vector<Action>& actions) {
    Action weight = pending_.front();
    weight.act = Act::kBackwardWeight;
    actions.push_back(weight);
    pending_.pop_front();
  }
  size_t most_;
  std::deque<Action> pending_;
};

void check(const spec::Layout& layout, int pp_rank, int num_microbatches, int group, bool forward_only) {
  if (num_microbatches < 1)
    throw Error(ErrorKind::kConfig, "train.global_batch_size", "gives no micro-batches",
                {.got = fmt::to_string(num_microbatches), .want = "at least 1"});
  if (pp_rank < 0 || pp_rank >= layout.pp)
    throw Error(ErrorKind::kInternal, "schedule", "no such pipeline rank",
                {.got = fmt::to_string(pp_rank), .want = fmt::format("0 to {}", layout.pp - 1)});
  if (layout.vpp == 1) return;
  if (layout.pp == 1)
    throw Error(ErrorKind::kConfig, "model.virtual_pipeline_model_parallel_size", "needs a pipeline",
                {.got = fmt::format("{} on one stage", layout.vpp), .want = "pipeline_model_parallel_size > 1"});
  if (forward_only) return;  // nothing waits for a backward pass: any number gets through
  const int rest = num_microbatches % group;
  if (group < layout.pp || group > num_microbatches || (rest != 0 && rest < layout.pp))
    throw Error(
        ErrorKind::kConfig, "model.microbatch_group_size_per_vp_stage", "does not fit the stages and micro-batches",
        {.got = fmt::format("groups of {} for {} micro-batches on {} stages", group, num_microbatches, layout.pp),
         .want = "from the number of stages to that of micro-batches, the last group no smaller than the stages"});
}

}  // namespace

int warm_up_steps(const spec::Layout& layout, int pp_rank, int num_microbatches, const OrderOptions& options) {
  const int group = options.microbatch_group > 0 ? options.microbatch_group : layout.pp;
  const int behind = layout.pp - pp_rank - 1;
  const int steps = layout.vpp == 1 ? behind : 2 * behind + (layout.vpp - 1) * group;
  return std::min(steps, num_microbatches * layout.vpp);
}

std::vector<Action> pipeline_order(const spec::Layout& layout, int pp_rank, int num_microbatches,
                                   const OrderOptions& options) {
  const int group = options.microbatch_group > 0 ? options.microbatch_group : layout.pp;
  check(layout, pp_rank, num_microbatches, group, options.forward_only);
  std::vector<Work> table = forward_table(layout.vpp, layout.vpp == 1 ? num_microbatches : group, num_microbatches);
  Direction forward(layout, pp_rank, table, true);
  for (Work& work : table) work.chunk = layout.vpp - 1 - work.chunk;
  Direction backward(layout, pp_rank, std::move(table), false);

  std::vector<Action> actions;
  WeightGradients weights(pp_rank);
  int next_slot = 0;
  const int total = forward.size();
  const int warm_up = options.forward_only ? total : warm_up_steps(layout, pp_rank, num_microbatches, options);
  for (int k = 0; k < warm_up; ++k) forward.run(k, next_slot, actions);
  for (int k = 0; k < total && !options.forward_only; ++k) {
    const bool draining = k + warm_up >= total;
    if (!draining) forward.run(k + warm_up, next_slot, actions);
    backward.run(k, next_slot, actions);
    if (!options.split_weight_gradients) continue;
    const auto computed = std::find_if(actions.rbegin(), actions.rend(),
                                       [](const Action& action) { return action.act == Act::kBackward; });
    weights.after_backward(*computed, draining, actions);
  }
  weights.finish(actions);
  forward.finish(actions);
  backward.finish(actions);
  if (options.forward_only) return actions;
  actions.push_back({.act = Act::kReduceGrads});
  actions.push_back({.act = Act::kStep});
  return actions;
}

}  // namespace rialto::schedule
