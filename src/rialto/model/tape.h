// How the model's Functions record themselves for the backward pass: one way to keep tensors, behind one hook, and one
// place where weight gradients go. Not a process-wide engine hook: what is set here touches this model only.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace rialto::model {

/// A tensor on its way from forward to backward.
class Kept {
 public:
  virtual ~Kept() = default;
  virtual at::Tensor take() = 0;  ///< called at most once per backward pass
};

/// Decides where tensors that a Function keeps wait: recompute, offload and compression hook in here.
class SaveHook {
 public:
  virtual ~SaveHook() = default;
  /// `name` says which: "linear.input", "norm.sum", ... What take() returns must have the same shape, dtype and values.
  virtual std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) = 0;
};

/// Where a weight's gradient goes. The default adds it to the main gradient at once.
class GradSink {
 public:
  virtual ~GradSink() = default;
  /// `add` accumulates one gradient; it must run before the optimizer does, in the order it was handed over.
  virtual void weight_gradient(std::function<void()> add) = 0;
};

/// Holds weight gradients back until run(): a schedule that splits the backward pass does them later.
class DeferredSink final : public GradSink {
 public:
  void weight_gradient(std::function<void()> add) override { pending_.push_back(std::move(add)); }
  size_t pending() const { return pending_.size(); }
  void run();

 private:
  std::vector<std::function<void()>> pending_;
};

/// Told during a backward pass which gradients are complete, so that reducing them may start.
class GradWatch {
 public:
  virtual ~GradWatch() = default;
  /// Weights of layers from `layer` on, and those behind the last layer, get no more gradient in this pass; an
  /// embedding may, whether tied or not. Called with decreasing numbers. Does not count what a sink holds back.
  virtual void done_from(int64_t layer) = 0;
};

/// What every Function is handed. All must outlive the backward pass; null: the plain way.
struct Recorder {
  SaveHook* save = nullptr;
  GradSink* sink = nullptr;
  GradWatch* watch = nullptr;
  void weight_gradient(std::function<void()> add) const;
};

using Grads = std::vector<at::Tensor>;

/// Records one Function. While a Tape lives, operations are not recorded by anyone else; a Function computes its
/// outputs under it, keeps what the backward pass needs, and ends with record().
class Tape {
 public:
  Tape(const Recorder& recorder, std::vector<at::Tensor> inputs);
  /// Whether any input wants a gradient; if not, keep() and record() do nothing.
  bool active() const { return active_; }
  bool wants(size_t input) const;
  void keep(const at::Tensor& tensor, std::string_view name);
  /// `backward`: gradients of the outputs (undefined: zero) and the kept tensors in order -> gradients of the inputs
  /// (undefined: none). Outputs must be fresh tensors, not inputs.
  using Backward = std::function<Grads(const Grads& douts, const std::vector<at::Tensor>& kept)>;
  void record(const std::vector<at::Tensor>& outputs, Backward backward, const char* name);

 private:
  at::AutoDispatchBelowADInplaceOrView below_;
  at::NoGradGuard no_grad_;
  Recorder recorder_;
  std::vector<at::Tensor> inputs_;
  bool active_ = false;
  std::vector<std::unique_ptr<Kept>> kept_;
};

}  // namespace rialto::model
