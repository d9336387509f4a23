// Experts: tokens go to them, through two grouped products, and come back. Shape letters: T tokens, K choices, P = T*K
// places sorted by expert, H hidden.
#pragma once

#include "rialto/kernels/permute.h"
#include "rialto/model/ffn/router.h"

namespace rialto::model {

/// x [T,H] -> one row per place [P,H].
at::Tensor dispatch(const Recorder& recorder, const at::Tensor& x_TH, const kernels::ExpertOrder& order);
/// y [P,H] -> [T,H]: each token's rows times their weights, added in the order of its choices.
at::Tensor combine(const Recorder& recorder, const at::Tensor& y_PH, const at::Tensor& weights_TK,
                   const kernels::ExpertOrder& order);

/// y = x W_e^T + b_e for the places of each expert e; experts without places get no gradient. `layers`: one per expert.
at::Tensor grouped_linear(const Recorder& recorder, const at::Tensor& x_PI, const std::vector<int64_t>& offsets,
                          const std::vector<Linear>& layers);

/// y [T,H] times sigmoid of gate [T,1].
at::Tensor gate_rows(const Recorder& recorder, const at::Tensor& y_TH, const at::Tensor& gate_T1);

class Experts {
 public:
  Experts(const spec::MoeFfn& spec, const Parts& parts);
  /// Both of this rank's tokens.
  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, const Routes& routes) const;

 private:
  /// y [P,H] of x [P,H], both sorted by expert.
  at::Tensor products(const Recorder& recorder, const at::Tensor& x_PH, const std::vector<int64_t>& offsets) const;
  /// Tokens of which this rank has all rows that its experts are to see.
  at::Tensor compute(const Recorder& recorder, const at::Tensor& x_TH, const Routes& routes) const;

  const comm::Mesh& mesh_;
  kernels::Activation activation_;
  int64_t num_experts_;            ///< of all ranks
  int64_t first_ = 0;              ///< number of this rank's first one
  std::vector<Linear> fc1_, fc2_;  ///< of this rank's experts
};

}  // namespace rialto::model
