// The order of a pipeline rank: non-interleaved 1F1B.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/schedule/actions.h"

namespace rialto::schedule {
namespace {

/// Writes one rank's list. A receive is posted just before it is waited for; a send is waited for when the next send of
/// the same direction is posted (its buffer is free by then), and at the end. Posting never blocks, so two neighbours
/// that send to each other at the same time both go on.
class Order {
 public:
  Order(int rank, int num_stages) : rank_(rank), last_(num_stages - 1) {}

  void forward(int microbatch) {
    if (rank_ > 0) receive(Act::kPostRecvForward, microbatch, rank_ - 1);
    actions.push_back({.act = Act::kForward, .microbatch = microbatch});
    if (rank_ < last_) send(Act::kPostSendForward, microbatch, rank_ + 1, forward_slot_);
  }
  void backward(int microbatch) {
    if (rank_ < last_) receive(Act::kPostRecvBackward, microbatch, rank_ + 1);
    actions.push_back({.act = Act::kBackward, .microbatch = microbatch});
    if (rank_ > 0) send(Act::kPostSendBackward, microbatch, rank_ - 1, backward_slot_);
  }
  void finish() {
    wait(forward_slot_);
    wait(backward_slot_);
    actions.push_back({.act = Act::kReduceGrads});
    actions.push_back({.act = Act::kStep});
  }

  std::vector<Action> actions;

 private:
  void receive(Act act, int microbatch, int peer) {
    int slot = next_slot_++;
    actions.push_back({.act = act, .microbatch = microbatch, .peer = peer, .slot = slot});
    wait(slot);
  }
  void send(Act act, int microbatch, int peer, int& pending) {
    wait(pending);
    pending = next_slot_++;
    actions.push_back({.act = act, .microbatch = microbatch, .peer = peer, .slot = pending});
  }
  void wait(int& slot) {
    if (slot < 0) return;
    actions.push_back({.act = Act::kWait, .slot = slot});
    slot = -1;
  }

  int rank_, last_;
  int next_slot_ = 0, forward_slot_ = -1, backward_slot_ = -1;
};

}  // namespace

std::vector<Action> pipeline_order(const spec::Layout& layout, int pp_rank, int num_microbatches) {
  if (layout.vpp > 1)
    throw Error(ErrorKind::kConfig, "model.virtual_pipeline_model_parallel_size",
                "interleaved schedules are not in this version", {.got = fmt::to_string(layout.vpp), .want = "1"});
  if (num_microbatches < 1)
    throw Error(ErrorKind::kConfig, "train.global_batch_size", "gives no micro-batches",
                {.got = fmt::to_string(num_microbatches), .want = "at least 1"});
  if (pp_rank < 0 || pp_rank >= layout.pp)
    throw Error(ErrorKind::kInternal, "schedule", "no such pipeline rank",
                {.got = fmt::to_string(pp_rank), .want = fmt::format("0 to {}", layout.pp - 1)});
  Order order(pp_rank, layout.pp);
  const int warm_up = std::min(layout.pp - pp_rank - 1, num_microbatches);
  for (int microbatch = 0; microbatch < warm_up; ++microbatch) order.forward(microbatch);
  for (int microbatch = warm_up; microbatch < num_microbatches; ++microbatch) {
    order.forward(microbatch);
    order.backward(microbatch - warm_up);
  }
  for (int microbatch = num_microbatches - warm_up; microbatch < num_microbatches; ++microbatch)
    order.backward(microbatch);
  order.finish();
  return std::move(order.actions);
}

}  // namespace rialto::schedule
