// What a part that runs again remembers, and its second run.
#include "rialto/model/recompute.h"

#include <ATen/core/grad_mode.h>

#include <utility>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::model {
namespace {

/// Shared by the kept tensors of one run of a part; gone with the last of them.
class Segment : public std::enable_shared_from_this<Segment> {
 public:
  Segment(const Recorder& recorder, const std::vector<at::Tensor>& inputs, const Body& body)
      : recorder_(recorder), body_(body) {
    for (const at::Tensor& input : inputs) {
      wants_.push_back(input.defined() && input.requires_grad());
      inputs_.push_back(recorder.keep(input.defined() ? input.detach() : input, "recompute.input"));
    }
    recorder_.plan = nullptr;
    recorder_.host_layer = false;
    recorder_.choices = &choices_;
  }

  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs);

  at::Tensor take(size_t index) {
    if (!ran_again_) run_again();
    return std::exchange(kept_[index], {});
  }
  at::Tensor output(size_t index) {
    if (!ran_again_) run_again();
    return outputs_[index];
  }

 private:
  class Later final : public Kept {
   public:
    Later(std::shared_ptr<Segment> segment, size_t index) : segment_(std::move(segment)), index_(index) {}
    at::Tensor take() override { return segment_->take(index_); }

   private:
    std::shared_ptr<Segment> segment_;
    size_t index_;
  };
  /// The first run: nothing waits.
  class Drop final : public SaveHook {
   public:
    explicit Drop(Segment& segment) : segment_(segment) {}
    std::unique_ptr<Kept> keep(const at::Tensor&, std::string_view) override {
      return std::make_unique<Later>(segment_.shared_from_this(), segment_.num_kept_++);
    }

   private:
    Segment& segment_;
  };
  /// The second run: all of it is collected; its own graph is thrown away and asks for nothing.
  class Collect final : public SaveHook {
   public:
    explicit Collect(std::vector<at::Tensor>& kept) : kept_(kept) {}
    std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view) override {
      class Nothing final : public Kept {
        at::Tensor take() override { return {}; }
      };
      kept_.push_back(tensor);
      return std::make_unique<Nothing>();
    }

   private:
    std::vector<at::Tensor>& kept_;
  };

  void run_again();

  Recorder recorder_;
  Body body_;
  std::vector<bool> wants_;
  std::vector<std::unique_ptr<Kept>> inputs_;
  Choices choices_;
  size_t num_kept_ = 0;
  bool ran_again_ = false;
  std::vector<at::Tensor> kept_, outputs_;
};

std::vector<at::Tensor> Segment::run(const std::vector<at::Tensor>& inputs) {
  Drop drop(*this);
  recorder_.save = &drop;
  return body_(recorder_, inputs);
}

void Segment::run_again() {
  ran_again_ = true;
  Collect collect(kept_);
  recorder_.save = &collect;
  recorder_.replaying = true;
  choices_.repeat();
  std::vector<at::Tensor> inputs;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const at::Tensor input = inputs_[i]->take();
    inputs.push_back(input.defined() ? input.detach().set_requires_grad(wants_[i]) : input);
  }
  inputs_.clear();
  const at::AutoGradMode recording(true);  // Functions keep what they would keep for gradients
  for (const at::Tensor& output : body_(recorder_, inputs))
    outputs_.push_back(output.defined() ? output.detach() : output);
  body_ = nullptr;
  if (kept_.size() == num_kept_) return;
  throw Error(ErrorKind::kInternal, "recompute", "a part ran differently the second time",
              {.got = fmt::format("{} kept tensors", kept_.size()), .want = std::to_string(num_kept_), .hint = {}});
}

/// Whether both are the same elements in the same memory, maybe of other shapes.
bool is_same(const at::Tensor& a, const at::Tensor& b) {
  return a.data_ptr() == b.data_ptr() && a.numel() == b.numel() && a.scalar_type() == b.scalar_type() &&
         a.is_contiguous() && b.is_contiguous();
}

/// Knows a segment's outputs by their memory.
class OutputsHook final : public SaveHook {
 public:
  OutputsHook(std::shared_ptr<Segment> segment, const std::vector<at::Tensor>& outputs, SaveHook* outer)
      : segment_(std::move(segment)), outer_(outer) {
    for (const at::Tensor& output : outputs) outputs_.push_back(output.detach());
  }

  std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) override {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (is_same(tensor, outputs_[i])) return std::make_unique<Output>(segment_, i, tensor.sizes().vec());
    }
    return outer_ ? outer_->keep(tensor, name) : nullptr;
  }

 private:
  class Output final : public Kept {
   public:
    Output(std::shared_ptr<Segment> segment, size_t index, std::vector<int64_t> shape)
        : segment_(std::move(segment)), index_(index), shape_(std::move(shape)) {}
    at::Tensor take() override { return segment_->output(index_).contiguous().view(shape_); }

   private:
    std::shared_ptr<Segment> segment_;
    size_t index_;
    std::vector<int64_t> shape_;
  };

  std::shared_ptr<Segment> segment_;
  std::vector<at::Tensor> outputs_;
  SaveHook* outer_;
};

/// Knows one output by its memory.
class RemadeHook final : public SaveHook {
 public:
  RemadeHook(const at::Tensor& output, const at::Tensor& from, Remade::Make make, const Recorder& outer)
      : output_(output.detach()), from_(from.detach()), make_(std::move(make)), outer_(outer) {}

  std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) override {
    if (is_same(tensor, output_))
      return std::make_unique<Output>(outer_.keep(from_, name), make_, tensor.sizes().vec());
    return outer_.save ? outer_.save->keep(tensor, name) : nullptr;
  }

 private:
  class Output final : public Kept {
   public:
    Output(std::unique_ptr<Kept> from, Remade::Make make, std::vector<int64_t> shape)
        : from_(std::move(from)), make_(std::move(make)), shape_(std::move(shape)) {}
    at::Tensor take() override {
      const at::Tensor from = from_->take();
      const at::NoGradGuard no_grad;
      return make_(from).view(shape_);
    }

   private:
    std::unique_ptr<Kept> from_;
    Remade::Make make_;
    std::vector<int64_t> shape_;
  };

  at::Tensor output_, from_;
  Remade::Make make_;
  Recorder outer_;
};

}  // namespace

std::vector<at::Tensor> recompute(const Recorder& recorder, const std::vector<at::Tensor>& inputs, const Body& body) {
  if (!at::GradMode::is_enabled()) return body(recorder, inputs);
  return std::make_shared<Segment>(recorder, inputs, body)->run(inputs);
}

Recomputed::Recomputed(const Recorder& recorder, Module part, const std::vector<at::Tensor>& inputs, const Body& body)
    : recorder_(recorder) {
  if (!recorder.recomputes(part) || !at::GradMode::is_enabled()) {
    outputs_ = body(recorder, inputs);
    return;
  }
  auto segment = std::make_shared<Segment>(recorder, inputs, body);
  outputs_ = segment->run(inputs);
  hook_ = std::make_unique<OutputsHook>(std::move(segment), outputs_, recorder.save);
  recorder_.save = hook_.get();
}

Recomputed::~Recomputed() = default;

Remade::Remade(const Recorder& recorder, const at::Tensor& output, const at::Tensor& from, const Make& make)
    : recorder_(recorder) {
  if (!recorder.plan || !at::GradMode::is_enabled() || is_same(output, from)) return;
  hook_ = std::make_unique<RemadeHook>(output, from, make, recorder);
  recorder_.save = hook_.get();
}

Remade::~Remade() = default;

Entered::Entered(const Recorder& recorder, const at::Tensor& x, const comm::Mesh& mesh)
    : x_(comm::into_tp(x, mesh)), joined_(recorder, x_, x, [&mesh](const at::Tensor& tokens) {
        return comm::all_gather(tokens, mesh, comm::Axis::kTp);
      }) {}

}  // namespace rialto::model
