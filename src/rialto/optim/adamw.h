// AdamW on flat buffers: fp32 main parameters (the weights themselves when those are fp32) and two moments.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/model/weights.h"

namespace rialto::optim {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
};

class AdamW {
 public:
  AdamW(model::Weights& weights, const AdamWOptions& options);
  /// One pass over the flat buffers: main -= lr * (m_hat / (sqrt(v_hat) + eps) + wd * main), gradients scaled by
  /// `grad_scale` (clipping) first; then the weights are main rounded to their dtype. Weights without decay: wd = 0.
  /// Source: Loshchilov & Hutter; bias correction and order of operations as torch.optim.AdamW.
  void step(double lr, double grad_scale);
  int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t steps) { num_steps_ = steps; }
  at::Tensor& main() { return main_; }  ///< flat fp32; aliases weights.flat_data() when that is fp32
  at::Tensor& exp_avg() { return exp_avg_; }
  at::Tensor& exp_avg_sq() { return exp_avg_sq_; }
  bool main_is_weights() const;
  /// Main parameters from the weights (after loading weights without optimizer state).
  void reset_main_from_weights();
  /// Views of the flat buffers for one weight, in its memory shape.
  at::Tensor main_of(const model::Weight& weight) const;
  at::Tensor exp_avg_of(const model::Weight& weight) const;
  at::Tensor exp_avg_sq_of(const model::Weight& weight) const;

 private:
  model::Weights& weights_;
  AdamWOptions options_;
  int64_t num_steps_ = 0;
  at::Tensor main_, exp_avg_, exp_avg_sq_;
};

/// Euclidean norm of the flat gradient, each weight counted once; summed in fp64 over fixed blocks of 64 Ki elements,
/// so that it does not depend on threads.
double grad_norm(const model::Weights& weights);

/// Megatron's coefficient: clip / (norm + 1e-6) if below 1, else 1; clip <= 0: 1.
double clip_scale(double norm, double clip);

}  // namespace rialto::optim
