// The autograd node behind every Function of the model.
#include "rialto/model/tape.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "rialto/base/error.h"
#include "rialto/model/host_memory.h"

namespace rialto::model {
namespace {

class InPlace final : public Kept {
 public:
  explicit InPlace(at::Tensor tensor) : tensor_(std::move(tensor)) {}
  at::Tensor take() override { return tensor_; }

 private:
  at::Tensor tensor_;
};

class TapeNode final : public torch::autograd::Node {
 public:
  TapeNode(Tape::Backward backward, std::vector<std::unique_ptr<Kept>> kept, const char* name)
      : backward_(std::move(backward)), kept_(std::move(kept)), name_(name) {}

  Grads apply(Grads&& douts) override {
    TORCH_CHECK(backward_, name_, ": backward ran twice over the same pass");
    std::vector<at::Tensor> tensors;
    for (const auto& kept : kept_) tensors.push_back(kept->take());  // recording: a part may have to run again for it
    const at::AutoDispatchBelowADInplaceOrView below;
    const at::NoGradGuard no_grad;
    return backward_(douts, tensors);
  }
  void release_variables() override {
    kept_.clear();
    backward_ = nullptr;
  }
  std::string name() const override { return name_; }

 private:
  Tape::Backward backward_;
  std::vector<std::unique_ptr<Kept>> kept_;
  const char* name_;
};

}  // namespace

void DeferredSink::run() {
  const at::NoGradGuard no_grad;
  for (const auto& add : std::exchange(pending_, {})) add();
}

void Recorder::weight_gradient(std::function<void()> add) const {
  if (sink) {
    sink->weight_gradient(std::move(add));
  } else {
    add();
  }
}

std::unique_ptr<Kept> Recorder::keep(const at::Tensor& tensor, std::string_view name) const {
  if (tensor.defined()) {
    if (waits_on_host(tensor)) return keep_on_host(tensor);
    if (save) {
      if (auto kept = save->keep(tensor, name)) return kept;
    }
  }
  return std::make_unique<InPlace>(tensor);
}

bool Recorder::waits_on_host(const at::Tensor& tensor) const {
  if (host_layer) return true;
  return plan && plan->host.contains(module) && tensor.numel() >= plan->min_host_elements;
}

at::Tensor Recorder::decide(const std::function<at::Tensor()>& choose) const {
  return choices ? choices->make(choose) : choose();
}

Recorder Recorder::in(Module part) const {
  Recorder recorder = *this;
  recorder.module = part;
  return recorder;
}

at::Tensor Choices::make(const std::function<at::Tensor()>& choose) {
  if (!repeating_) return made_.emplace_back(choose());
  if (next_ == made_.size()) throw Error(ErrorKind::kInternal, "recompute", "the second run makes another choice");
  return made_[next_++];
}

Tape::Tape(const Recorder& recorder, std::vector<at::Tensor> inputs) : recorder_(recorder), inputs_(std::move(inputs)) {
  // The guard member has already switched recording off; what counts is whether the caller had it on.
  if (!no_grad_.prev_mode) return;
  for (const at::Tensor& input : inputs_) active_ = active_ || (input.defined() && input.requires_grad());
}

bool Tape::wants(size_t input) const { return active_ && inputs_[input].defined() && inputs_[input].requires_grad(); }

void Tape::keep(const at::Tensor& tensor, std::string_view name) {
  if (!active_) return;
  // An alias without history, so that a node that keeps its own output does not keep itself alive.
  kept_.push_back(recorder_.keep(tensor.defined() ? tensor.detach() : tensor, name));
}

void Tape::record(const std::vector<at::Tensor>& outputs, Backward backward, const char* name) {
  if (!active_) return;
  std::shared_ptr<TapeNode> node(new TapeNode(std::move(backward), std::move(kept_), name),
                                 torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs_));
  for (const at::Tensor& output : outputs) torch::autograd::set_history(output, node);
}

}  // namespace rialto::model
