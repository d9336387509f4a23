// The stages of the model that one rank computes, and their share of an iteration: what is between the forward and the
// backward pass of each micro-batch, and the messages to the neighbours in the pipeline.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "rialto/comm/mesh.h"
#include "rialto/model/model.h"
#include "rialto/schedule/actions.h"
#include "rialto/train/train.h"

namespace rialto::train {

/// Weight gradients that a split backward pass leaves for later, by micro-batch.
class SplitSink final : public model::GradSink {
 public:
  void begin(int microbatch) { current_ = microbatch; }
  void weight_gradient(std::function<void()> add) override { later_[current_].weight_gradient(std::move(add)); }
  void run(int microbatch);

 private:
  int current_ = 0;
  std::map<int, model::DeferredSink> later_;
};

struct Stages {
  Stages() = default;
  /// The whole model on one rank.
  Stages(const model::Model& whole) : chunks{&whole}, num_depths(static_cast<size_t>(whole.num_depths())) {}

  std::vector<const model::Model*> chunks;  ///< one, or those of an interleaved pipeline
  comm::Mesh mesh = {};
  schedule::OrderOptions order = {};
  std::vector<SplitSink*> sinks = {};  ///< one for each chunk where order splits weight gradients
  size_t num_depths = 0;               ///< of multi-token prediction, in the whole model
  bool are_whole() const { return mesh.size(comm::Axis::kPp) == 1; }
};

/// Carries micro-batches through the stages of this rank as a schedule's actions say. Both outlive it.
class StageRunner {
 public:
  StageRunner(const Stages& stages, const std::vector<model::Batch>& micro_batches);

  /// What this rank computed of a micro-batch: without hidden states, which wait to be sent. In training its backward
  /// pass must follow.
  const model::LossSum& forward(const schedule::Action& action, const ForwardStep& forward_step);
  const model::LossSum& loss(const schedule::Action& action) { return held(action).loss; }
  void backward(const schedule::Action& action, double scale);
  /// Everything else: posts and waits.
  void pass(const schedule::Action& action);

 private:
  struct Held {
    at::Tensor input_TH, output_TH, dinput_TH, doutput_TH;  ///< undefined where a stage has none, or no longer
    model::StageBackward backward;
    model::LossSum loss;
  };
  struct Open {
    std::unique_ptr<comm::Pending> pending;
    at::Tensor* sends;  ///< what may be freed when it is done; null for a receive
  };
  Held& held(const schedule::Action& action) {
    return held_[static_cast<size_t>(action.chunk)][static_cast<size_t>(action.microbatch)];
  }
  void send(const schedule::Action& action, at::Tensor& tensor, bool forward);
  void receive(const schedule::Action& action, at::Tensor& tensor, bool forward);
  int tag(const schedule::Action& action, bool forward, bool sends) const;

  const Stages& stages_;
  const std::vector<model::Batch>& batches_;
  std::vector<std::vector<Held>> held_;  ///< by chunk and micro-batch
  std::map<int, Open> open_;             ///< by slot
};

}  // namespace rialto::train
