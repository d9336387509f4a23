// Sorting slots by expert; moving rows in plain ATen operations; and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "rialto/kernels/dispatch.h"
#include "rialto/kernels/permute.h"

namespace rialto::kernels {
namespace {

at::Tensor token_of_place(const ExpertOrder& order) {
  return at::floor_divide(order.slot_P, at::Scalar(order.place_TK.size(1)));
}
/// [T,K,H]; zeros for slots without a place.
at::Tensor rows_of_slots(const at::Tensor& y_PH, const ExpertOrder& order) {
  const at::Tensor none = at::zeros({1, y_PH.size(1)}, y_PH.options());
  const at::Tensor place = at::where(order.place_TK < 0, y_PH.size(0), order.place_TK).reshape({-1});
  const at::Tensor rows = at::cat({y_PH, none}).index_select(0, place).to(wide_type(y_PH));
  return rows.view({order.place_TK.size(0), order.place_TK.size(1), y_PH.size(1)});
}
bool fast(const at::Tensor& x) { return x.is_cpu() && is_narrow(x); }
at::Tensor fp32_or_none(const at::Tensor& weights) {
  return weights.defined() ? weights.to(at::kFloat).contiguous() : weights;
}

}  // namespace

ExpertOrder sort_by_expert(const at::Tensor& experts_TK, int64_t num_experts, int64_t first) {
  const at::Tensor numbers = experts_TK.reshape({-1}) - first;
  const at::Tensor here = at::logical_and(numbers >= 0, numbers < num_experts);
  const at::Tensor flat = at::where(here, numbers, num_experts);  // the others come last
  const at::Tensor counts = at::bincount(flat, {}, num_experts + 1).to(at::kCPU);
  ExpertOrder order;
  order.offsets.push_back(0);
  for (int64_t e = 0; e < num_experts; ++e)
    order.offsets.push_back(order.offsets.back() + counts.const_data_ptr<int64_t>()[e]);
  const int64_t places = order.offsets.back();
  order.slot_P = std::get<1>(at::sort(flat, /*stable=*/true, -1, /*descending=*/false)).narrow(0, 0, places);
  order.place_TK =
      at::full_like(flat, -1).scatter_(0, order.slot_P, at::arange(places, flat.options())).view(experts_TK.sizes());
  return order;
}

at::Tensor ref::spread_rows(const at::Tensor& x_TH, const ExpertOrder& order, const at::Tensor& weights_TK) {
  const at::Tensor rows = x_TH.index_select(0, token_of_place(order));
  if (!weights_TK.defined()) return rows;
  const at::Tensor weights = weights_TK.reshape({-1}).index_select(0, order.slot_P).unsqueeze(1);
  return (rows.to(wide_type(x_TH)) * weights).to(x_TH.scalar_type());
}

at::Tensor ref::combine_rows(const at::Tensor& y_PH, const ExpertOrder& order, const at::Tensor& weights_TK) {
  const int64_t choices = order.place_TK.size(1);
  at::Tensor rows = rows_of_slots(y_PH, order);
  if (weights_TK.defined()) rows = rows * weights_TK.unsqueeze(-1);
  at::Tensor sum = rows.select(1, 0).clone();
  for (int64_t j = 1; j < choices; ++j) sum.add_(rows.select(1, j));
  return sum.to(y_PH.scalar_type());
}

at::Tensor ref::slot_dots(const at::Tensor& x_TH, const at::Tensor& y_PH, const ExpertOrder& order) {
  const auto wide = wide_type(x_TH);
  return (rows_of_slots(y_PH, order).to(wide) * x_TH.to(wide).unsqueeze(1)).sum(-1);
}

at::Tensor spread_rows(const at::Tensor& x_TH, const ExpertOrder& order, const at::Tensor& weights_TK) {
  return fast(x_TH) ? cpu::spread_rows(x_TH, order, fp32_or_none(weights_TK))
                    : ref::spread_rows(x_TH, order, weights_TK);
}

at::Tensor combine_rows(const at::Tensor& y_PH, const ExpertOrder& order, const at::Tensor& weights_TK) {
  return fast(y_PH) ? cpu::combine_rows(y_PH, order, fp32_or_none(weights_TK))
                    : ref::combine_rows(y_PH, order, weights_TK);
}

at::Tensor slot_dots(const at::Tensor& x_TH, const at::Tensor& y_PH, const ExpertOrder& order) {
  return fast(x_TH) && fast(y_PH) ? cpu::slot_dots(x_TH, y_PH, order) : ref::slot_dots(x_TH, y_PH, order);
}

}  // namespace rialto::kernels
