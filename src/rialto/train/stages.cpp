// Messages between pipeline stages, and what a stage keeps of each micro-batch.
#include "rialto/train/stages.h"

#include <ATen/Functions.h>

#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::train {
namespace {

constexpr auto kPp = comm::Axis::kPp;

/// Sent tensors are freed here: a view or a second owner would keep their memory until the backward pass. A thread of
/// the transport may let go of one a moment after its wait has returned.
void free_sent(at::Tensor& tensor) {
  const auto is_alone = [&] {
    return !tensor.is_view() && tensor.use_count() == 1 && tensor.storage().use_count() == 1;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (!is_alone() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  if (!is_alone())
    throw Error(ErrorKind::kInternal, "pipeline", "what was sent has another owner",
                {.got = fmt::format("{} of the tensor, {} of its memory{}", tensor.use_count(),
                                    tensor.storage().use_count(), tensor.is_view() ? ", a view" : ""),
                 .want = "1 and 1"});
  tensor.reset();
}

}  // namespace

void SplitSink::run(int microbatch) {
  // Nothing is held when everything is frozen.
  if (auto held = later_.extract(microbatch)) held.mapped().run();
}

StageRunner::StageRunner(const Stages& stages, const std::vector<model::Batch>& micro_batches)
    : stages_(stages), batches_(micro_batches), held_(stages.chunks.size()) {
  for (auto& chunk : held_) chunk.resize(micro_batches.size());
}

const model::LossSum& StageRunner::forward(const schedule::Action& action, const ForwardStep& forward_step) {
  const model::Model& model = *stages_.chunks[static_cast<size_t>(action.chunk)];
  const model::Batch& batch = batches_[static_cast<size_t>(action.microbatch)];
  Held& of = held(action);
  if (forward_step) {
    if (!stages_.are_whole())
      throw Error(ErrorKind::kUsage, "forward step", "a stage of a pipeline has its own",
                  {.got = fmt::format("pipeline_model_parallel_size {}", stages_.mesh.size(kPp)), .want = "1"});
    of.loss = forward_step(model, batch);
    if (at::GradMode::is_enabled()) of.backward = model::StageBackward({.hidden_TH = {}, .loss = of.loss});
    return of.loss;
  }
  model::StageOutput output = model.forward_stage(batch, of.input_TH);
  if (at::GradMode::is_enabled()) of.backward = model::StageBackward(output);
  if (output.hidden_TH.defined()) of.output_TH = output.hidden_TH.variable_data();
  of.loss = std::move(output.loss);
  if (!at::GradMode::is_enabled()) of.input_TH.reset();
  return of.loss;
}

void StageRunner::backward(const schedule::Action& action, double scale) {
  Held& of = held(action);
  if (!stages_.sinks.empty()) stages_.sinks[static_cast<size_t>(action.chunk)]->begin(action.microbatch);
  std::exchange(of.backward, {}).run(std::exchange(of.doutput_TH, {}), scale);
  of.loss = {};
  if (!of.input_TH.defined()) return;
  of.dinput_TH = of.input_TH.grad().contiguous();
  of.input_TH.reset();
}

void StageRunner::pass(const schedule::Action& action) {
  switch (action.act) {
    case schedule::Act::kPostRecvForward:
      receive(action, held(action).input_TH, true);
      return;
    case schedule::Act::kPostSendForward:
      send(action, held(action).output_TH, true);
      return;
    case schedule::Act::kPostRecvBackward:
      receive(action, held(action).doutput_TH, false);
      return;
    case schedule::Act::kPostSendBackward:
      send(action, held(action).dinput_TH, false);
      return;
    case schedule::Act::kBackwardWeight:
      stages_.sinks[static_cast<size_t>(action.chunk)]->run(action.microbatch);
      return;
    case schedule::Act::kWait: {
      const auto open = open_.extract(action.slot);
      open.mapped().pending->wait();
      open.mapped().pending.reset();
      if (at::Tensor* sent = open.mapped().sends) free_sent(*sent);
      return;
    }
    default:
      throw Error(ErrorKind::kInternal, "schedule", "not a message", {.got = schedule::to_text(action)});
  }
}

/// Unique for the micro-batch on its way between two stages, both of which know it.
int StageRunner::tag(const schedule::Action& action, bool forward, bool sends) const {
  const int stage = action.chunk * stages_.mesh.size(kPp) + stages_.mesh.index(kPp);
  const int lower = forward == sends ? stage : stage - 1;  // of the two
  return (lower * static_cast<int>(batches_.size()) + action.microbatch) * 2 + (forward ? 0 : 1);
}

void StageRunner::send(const schedule::Action& action, at::Tensor& tensor, bool forward) {
  const char* what = forward ? "hidden states" : "the gradient of hidden states";
  auto pending = stages_.mesh.group(kPp).send(tensor, action.peer, tag(action, forward, true),
                                              fmt::format("sending {} of micro-batch {}", what, action.microbatch));
  open_[action.slot] = {std::move(pending), &tensor};
}

void StageRunner::receive(const schedule::Action& action, at::Tensor& tensor, bool forward) {
  const char* what = forward ? "hidden states" : "the gradient of hidden states";
  tensor = stages_.chunks.front()->blank_hidden(batches_[static_cast<size_t>(action.microbatch)].tokens_BS.numel());
  auto pending =
      stages_.mesh.group(kPp).receive(tensor, action.peer, tag(action, forward, false),
                                      fmt::format("receiving {} of micro-batch {}", what, action.microbatch));
  if (forward && at::GradMode::is_enabled()) tensor.set_requires_grad(true);
  open_[action.slot] = {std::move(pending), nullptr};
}

}  // namespace rialto::train
