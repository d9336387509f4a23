// Rows of tokens on their way to experts and back. A *slot* is one of a token's K choices, numbered t * K + j; places
// are slots sorted by expert. Slots of experts that are elsewhere have none. Shape letters: T tokens, K choices, P
// places (T*K when all experts are here), H width.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rialto::kernels {

struct ExpertOrder {
  at::Tensor slot_P;             ///< int64: slot of each place; within an expert in rising order
  at::Tensor place_TK;           ///< int64: place of each slot; -1: it has none
  std::vector<int64_t> offsets;  ///< E+1: expert e has places [offsets[e], offsets[e+1])
};

/// experts int64 [T,K]. Those in [first, first + num_experts) are here.
ExpertOrder sort_by_expert(const at::Tensor& experts_TK, int64_t num_experts, int64_t first = 0);

/// Row of its token for each place: x [T,H] -> [P,H], times the slot's weight [T,K] when there are weights.
at::Tensor spread_rows(const at::Tensor& x_TH, const ExpertOrder& order, const at::Tensor& weights_TK = {});
/// Sum over a token's slots that have a place, in slot order and fp32: y [P,H] -> [T,H], each row times its weight when
/// there are weights. The transpose of spread_rows.
at::Tensor combine_rows(const at::Tensor& y_PH, const ExpertOrder& order, const at::Tensor& weights_TK = {});
/// Inner product of each slot's row of y with its token's row of x, fp32 (fp64): [T,K]; 0 without a place.
at::Tensor slot_dots(const at::Tensor& x_TH, const at::Tensor& y_PH, const ExpertOrder& order);

namespace ref {
at::Tensor spread_rows(const at::Tensor& x_TH, const ExpertOrder& order, const at::Tensor& weights_TK = {});
at::Tensor combine_rows(const at::Tensor& y_PH, const ExpertOrder& order, const at::Tensor& weights_TK = {});
at::Tensor slot_dots(const at::Tensor& x_TH, const at::Tensor& y_PH, const ExpertOrder& order);
}  // namespace ref
namespace cpu {
at::Tensor spread_rows(const at::Tensor& x_TH, const ExpertOrder& order, const at::Tensor& weights_TK = {});
at::Tensor combine_rows(const at::Tensor& y_PH, const ExpertOrder& order, const at::Tensor& weights_TK = {});
at::Tensor slot_dots(const at::Tensor& x_TH, const at::Tensor& y_PH, const ExpertOrder& order);
}  // namespace cpu

}  // namespace rialto::kernels
