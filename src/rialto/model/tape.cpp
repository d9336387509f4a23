// The autograd node behind every Function of the model.
#include "rialto/model/tape.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/utils.h>

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
    const at::AutoDispatchBelowADInplaceOrView below;
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors;
    for (const auto& kept : kept_) tensors.push_back(kept->take());
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

Tape::Tape(const Recorder& recorder, std::vector<at::Tensor> inputs) : recorder_(recorder), inputs_(std::move(inputs)) {
  // The guard member has already switched recording off; what counts is whether the caller had it on.
  if (!no_grad_.prev_mode) return;
  for (const at::Tensor& input : inputs_) active_ = active_ || (input.defined() && input.requires_grad());
}

bool Tape::wants(size_t input) const { return active_ && inputs_[input].defined() && inputs_[input].requires_grad(); }

void Tape::keep(const at::Tensor& tensor, std::string_view name) {
  if (!active_) return;
  // An alias without history, so that a node that keeps its own output does not keep itself alive.
  at::Tensor plain = tensor.defined() ? tensor.detach() : tensor;
  kept_.push_back(recorder_.save && plain.defined() ? recorder_.save->keep(plain, name)
                                                    : std::make_unique<InPlace>(std::move(plain)));
}

void Tape::record(const std::vector<at::Tensor>& outputs, Backward backward, const char* name) {
  if (!active_) return;
  std::shared_ptr<TapeNode> node(new TapeNode(std::move(backward), std::move(kept_), name),
                                 torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs_));
  for (const at::Tensor& output : outputs) torch::autograd::set_history(output, node);
}

}  // namespace rialto::model
