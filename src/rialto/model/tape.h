// How the model's Functions record themselves for the backward pass: one way to keep tensors, behind one hook, and one
// place where weight gradients go. Not a process-wide engine hook: what is set here touches this model only.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <functional>
#include <memory>
#include <set>
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
  /// Null: it stays where it is. A hook is asked in forward passes only.
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

/// Parts of a layer that may be computed again or whose input may wait in host memory, by Megatron's names.
enum class Module : uint8_t {
  kNone,
  kCoreAttn,
  kMlp,
  kMoe,
  kMoeAct,
  kSharedExperts,
  kLayernorm,
  kMlaUpProj,
  kAttnNorm,
  kQkvLinear,
  kAttnProj,
  kMlpNorm,
  kExpertFc1,
};

/// What a training run does to keep less. The default keeps everything.
struct MemoryPlan {
  int64_t uniform_layers = 0;       ///< all layers are computed again, in groups of so many; 0: no
  int64_t block_layers = 0;         ///< the first so many layers of a stage are computed again, each by itself
  std::set<Module> recompute = {};  ///< parts of every layer that are computed again
  int64_t host_layers = 0;          ///< what the first so many layers keep waits in host memory
  std::set<Module> host = {};       ///< parts of every layer whose kept tensors wait in host memory ...
  int64_t min_host_elements = 0;    ///< ... from this size on
};

/// Choices of a part that runs twice: made the first time, repeated in the same order the second time.
class Choices {
 public:
  at::Tensor make(const std::function<at::Tensor()>& choose);
  void repeat() { repeating_ = true; }

 private:
  std::vector<at::Tensor> made_;
  size_t next_ = 0;
  bool repeating_ = false;
};

/// Told during a backward pass which gradients are complete, so that reducing them may start.
class GradWatch {
 public:
  virtual ~GradWatch() = default;
  /// Weights of layers from `layer` on, and those behind the last layer, get no more gradient in this pass; an
  /// embedding may, whether tied or not. Called with decreasing numbers. Does not count what a sink holds back.
  virtual void done_from(int64_t layer) = 0;
};

/// What every Function is handed; the default is the plain way. The sink, the watch and the plan must outlive the
/// backward pass, the hook the forward pass.
struct Recorder {
  SaveHook* save = nullptr;
  GradSink* sink = nullptr;
  GradWatch* watch = nullptr;
  const MemoryPlan* plan = nullptr;  ///< null inside a part that is computed again: such parts do not nest
  Module module = Module::kNone;     ///< what is running
  bool host_layer = false;           ///< everything that this layer keeps waits in host memory
  Choices* choices = nullptr;
  bool replaying = false;  ///< a second run for the sake of what it keeps: what counts or reports has done so already

  void weight_gradient(std::function<void()> add) const;
  std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) const;
  /// What `choose` returned when this part ran first: a choice that another run might make otherwise.
  at::Tensor decide(const std::function<at::Tensor()>& choose) const;
  bool recomputes(Module part) const { return plan && plan->recompute.contains(part); }
  /// This recorder for one part of a layer.
  Recorder in(Module part) const;

 private:
  bool waits_on_host(const at::Tensor& tensor) const;
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
