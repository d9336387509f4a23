// An optimizer over the flat buffers: main parameters, moments, steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <vector>

#include "rialto/kernels/flat_update.h"
#include "rialto/model/weights.h"
#include "rialto/optim/groups.h"
#include "rialto/optim/options.h"

namespace rialto::optim {

/// Updates the owned ranges of the flat buffers and keeps state for them alone. Adam, SGD and Lion work element by
/// element: any cut gives the same bits. Muon takes whole weights.
///
/// The main parameters of an fp32 model are its weights; else an fp32 copy, or remainders (options.param_remainders).
/// All state is reachable by name, as checkpoints have it: "param" (the fp32 main parameters, however they are stored)
/// and the moments of state_names(), whatever type they are stored in.
class Optimizer {
 public:
  /// `owned`: ascending, disjoint; without it everything. What is frozen now gets no state and no update. Throws
  /// kInternal for weights made for inference.
  Optimizer(model::Weights& weights, const Options& options, std::optional<std::vector<Range>> owned = {});

  /// Updates main parameters, moments and weights from the gradients, which are multiplied by `grad_scale` (clipping)
  /// first. Nothing is written outside the owned ranges.
  void step(const Rates& rates, double grad_scale);
  int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t steps) { num_steps_ = steps; }

  const Options& options() const { return options_; }
  const std::vector<Range>& owned() const { return owned_; }
  /// Whether it was given what it owns: other ranks own the rest.
  bool is_sharded() const { return sharded_; }

  bool main_is_weights() const;
  /// Main parameters from the weights (after loading weights without optimizer state).
  void reset_main_from_weights();
  bool main_is_finite() const;

  /// Moments of a weight that is trained: "exp_avg" and "exp_avg_sq"; or "momentum_buffer"; or none.
  std::vector<const char*> state_names(const spec::Param& param) const;
  /// fp32 values of "param" or a moment over a range of trained elements that are owned; flat, maybe the state itself.
  at::Tensor read(std::string_view name, const Range& range) const;
  /// Sets them, rounded to the type of the state; "param" sets the weights too where both are one.
  void write(std::string_view name, const Range& range, const at::Tensor& values);

 private:
  struct Held {
    Segment segment;
    at::Tensor main, remainder;       ///< at most one; undefined: main are the weights
    std::vector<at::Tensor> moments;  ///< as moment_names() of the rule
  };
  Held hold(const Segment& segment) const;
  kernels::FlatRange flat_range(const Held& held) const;
  void update(const Held& held, const Rates& rates, double grad_scale);
  at::Tensor value(const Held& held, std::string_view name, const Range& part) const;
  void set_value(const Held& held, std::string_view name, const Range& part, const at::Tensor& values);
  template <class Visit>
  void for_each_part(const Range& range, const Visit& visit) const;

  model::Weights& weights_;
  Options options_;
  bool sharded_;
  std::vector<Range> owned_;
  std::vector<Held> held_;  ///< ascending
  int64_t num_steps_ = 0;
};

/// True when every element is finite; looks at pieces, so that no copy of the model is made.
bool all_finite(const at::Tensor& flat);

}  // namespace rialto::optim
