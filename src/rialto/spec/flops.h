// Floating-point operations of a training step, counted twice: exactly, and as Megatron counts them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "rialto/spec/param.h"

namespace rialto::spec {

/// Counts a model's matrices once; asking costs nothing after that. A multiply-add is two operations; a weight costs
/// one product forward and two backward, or one backward when it is frozen (adapters). Recomputation, norms, softmax
/// and element-wise work are not counted.
class FlopCounter {
 public:
  /// `trained`: the weights that get a gradient; empty: all of them.
  explicit FlopCounter(const ModelSpec& model, const std::function<bool(const Param&)>& trained = {});

  /// What is computed for these documents, each attending within itself: every query-key pair that is not masked,
  /// windows included; routers and the gates of shared experts too.
  double exact(std::span<const int64_t> document_lengths) const;

  /// What Megatron's step line and checkpoints count for `tokens` tokens in rows of `row_length`: half of each row's
  /// square as attention whatever the documents in it, no router, every weight trained, the norms of latent attention
  /// and of prediction blocks as if they were products. Source: Megatron Bridge, utils/flop_utils.py.
  double megatron(double tokens, double row_length) const;

 private:
  double exact_weights_ = 0;     ///< operations per token
  double megatron_weights_ = 0;  ///< the same as Megatron counts
  /// Widths of queries and values over all layers with this window (0: none): one multiply-add each for a pair.
  std::map<int64_t, double> pair_width_by_window_;
};

}  // namespace rialto::spec
