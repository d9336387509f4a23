// What mixture-of-experts layers report besides their output, and what is asked of them in training.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "rialto/model/weights.h"

namespace rialto::model {

/// How many tokens chose each expert of one layer with a selection bias.
struct RoutedTokens {
  std::string bias;     ///< the layer's selection bias: "decoder.layers.3.mlp.router.expert_bias"
  at::Tensor tokens_E;  ///< int64, host
};

/// How many choices an expert takes of a micro-batch: `factor` times its even share, rounded up; the others are
/// dropped. Source: Megatron-Core moe_utils.py, apply_router_token_dropping.
struct Capacity {
  double factor = 0;         ///< 0: without limit
  bool by_position = false;  ///< a full expert keeps the first ones; else those with the largest weights
};

/// One forward pass's collector. Coefficients of 0 cost nothing.
struct Routing {
  double aux_loss_coeff = 0, z_loss_coeff = 0;
  Capacity capacity = {};
  at::Tensor loss = {};  ///< sum over layers of coefficient * loss, fp32 scalar with gradient; undefined: none
  /// Sums over layers before the coefficient, without gradient, for reports; undefined: none.
  at::Tensor aux_loss = {}, z_loss = {};
  std::vector<RoutedTokens> tokens = {};
  bool want_choices = false;
  std::vector<at::Tensor> choices =
      {};  ///< by layer with experts, in order: int64 [T,K], -1 for dropped ones; empty unless wanted

  /// A collector that asks for the same and holds nothing: for a part that runs again after it has reported.
  Routing blank() const {
    return {.aux_loss_coeff = aux_loss_coeff,
            .z_loss_coeff = z_loss_coeff,
            .capacity = capacity,
            .want_choices = want_choices};
  }
};

/// Moves every selection bias by `rate` towards an even load: up for experts with fewer tokens than the average, down
/// for those with more. Counts of the same layer are added first, so those of several micro-batches may be handed over
/// together. Source: Megatron-Core moe_utils.py, get_updated_expert_bias (Wang et al. 2024, arXiv:2408.15664).
void update_selection_bias(Weights& weights, const std::vector<RoutedTokens>& tokens, double rate);

}  // namespace rialto::model
