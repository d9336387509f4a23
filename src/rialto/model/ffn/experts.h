// Experts: tokens go to them, through two grouped products, and come back. Shape letters: T tokens, K choices, P = T*K
// places sorted by expert, H hidden.
#pragma once

#include "rialto/kernels/permute.h"
#include "rialto/model/ffn/router.h"

namespace rialto::model {

/// x [T,H] -> one row per place [P,H]. With combine, the one spot that expert parallelism will exchange tokens at.
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
  /// `routes`: as Router::forward gives them. With sequence parallelism experts that tensor-parallel ranks share see
  /// every token, whole ones this rank's.
  at::Tensor forward(const Recorder& recorder, const at::Tensor& x_TH, const Routes& routes) const;

 private:
  at::Tensor compute(const Recorder& recorder, const at::Tensor& x_TH, const Routes& routes) const;

  const comm::Mesh& mesh_;
  kernels::Activation activation_;
  std::vector<Linear> fc1_, fc2_;  ///< by expert
};

}  // namespace rialto::model
