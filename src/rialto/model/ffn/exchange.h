// How tokens reach experts that other ranks hold, and how they come back. Two ways: every rank gathers all tokens and
// sums what its experts give, or rows travel to the experts they chose. Shape letters as in experts.h; R rows that came
// to this rank's experts.
#pragma once

#include "rialto/model/ffn/router.h"

namespace rialto::model {

/// Tokens of all ranks that share the experts, in the order of ranks. Collective over comm::Axis::kExperts.
class GatheredTokens {
 public:
  GatheredTokens(const comm::Mesh& mesh, const at::Tensor& x_TH, const Routes& routes);
  const at::Tensor& x() const { return x_; }
  const Routes& routes() const { return routes_; }
  /// This rank's tokens of the sum over ranks.
  at::Tensor sum(const at::Tensor& y) const;

 private:
  const comm::Mesh& mesh_;
  int64_t count_;   ///< this rank's tokens
  int64_t padded_;  ///< the most tokens of a rank; rows up to there choose no expert
  at::Tensor x_;
  Routes routes_;
};

/// Which rows travel where: rank r of the group gets the rows of its experts. Several ranks that each hold a part of an
/// expert get the same rows.
struct RowExchange {
  comm::Group* group;
  int64_t parts;                                  ///< of an expert
  std::vector<int64_t> sent_rows, received_rows;  ///< by rank
  at::Tensor arrival_R, place_R;                  ///< int64: arrived row of each place by expert; and the inverse
  std::vector<int64_t> offsets;                   ///< of this rank's experts in places, as in kernels::ExpertOrder
};
/// `offsets`: of all experts, in this rank's rows. Collective over kExperts.
std::shared_ptr<const RowExchange> plan_exchange(const comm::Mesh& mesh, const std::vector<int64_t>& offsets,
                                                 at::Device device);
/// x [P,H] sorted by expert -> [R,H] sorted by this rank's experts, within one by rank.
at::Tensor rows_to_experts(const Recorder& recorder, const at::Tensor& x_PH,
                           const std::shared_ptr<const RowExchange>& exchange);
/// Its transpose: y [R,H] -> [P,H], summed over the parts of an expert.
at::Tensor rows_from_experts(const Recorder& recorder, const at::Tensor& y_RH,
                             const std::shared_ptr<const RowExchange>& exchange);

}  // namespace rialto::model
