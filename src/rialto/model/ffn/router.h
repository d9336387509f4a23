// The router of a mixture-of-experts layer. Shape letters: T tokens, H hidden, E experts, K chosen.
#pragma once

#include "rialto/kernels/router.h"
#include "rialto/model/layer.h"

namespace rialto::model {

struct Routes {
  at::Tensor weights_TK;  ///< fp32 (fp64 for fp64), with gradient
  at::Tensor experts_TK;  ///< int64; -1: dropped
};

class Router {
 public:
  /// Throws kConfig when the numbers of experts, groups and choices do not fit together.
  Router(const spec::MoeFfn& spec, const Parts& parts);
  /// Scores are computed in fp32 whatever the model's dtype. With sequence or context parallelism x has this rank's
  /// tokens, and so have the routes; losses and counts are those of all, the same on each rank. `routing`: gets losses
  /// and counts; null: nothing is asked.
  Routes forward(const Recorder& recorder, const at::Tensor& x_TH, Routing* routing) const;

 private:
  const comm::Mesh& mesh_;
  kernels::RouterOptions options_;
  int64_t num_experts_;
  Linear product_;
  const Weight* selection_bias_ = nullptr;
};

/// Weights of the chosen experts, with their gradient; the choice has none.
Routes route(const Recorder& recorder, const at::Tensor& logits_TE, const at::Tensor& selection_bias,
             const kernels::RouterOptions& options);

/// The experts of `routes` where they have room, -1 elsewhere.
at::Tensor within(const Capacity& capacity, const Routes& routes, int64_t num_experts);

/// coeff * E / (K T^2) * sum over experts of (tokens that chose it) * (sum of its scores): 1 * coeff when the load is
/// even. Scores and choice are those without bias and groups; sigmoid scores are normalised first. fp32 scalar.
/// Source: Megatron-Core moe_utils.py, switch_load_balancing_loss_func and compute_routing_scores_for_aux_loss.
at::Tensor load_balancing_loss(const Recorder& recorder, const at::Tensor& logits_TE, int64_t top_k,
                               kernels::RouterScore score, double coeff);

/// coeff * mean over tokens of logsumexp(logits)^2. Source: Megatron-Core moe_utils.py, z_loss_func (ST-MoE).
at::Tensor router_z_loss(const Recorder& recorder, const at::Tensor& logits_TE, double coeff);

}  // namespace rialto::model
