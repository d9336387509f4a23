// Gathering tokens, and exchanging rows.
#include "rialto/model/ffn/exchange.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <numeric>

namespace rialto::model {
namespace {

constexpr auto kExperts = comm::Axis::kExperts;

/// `value` of every rank that shares the experts.
at::Tensor from_all(const comm::Mesh& mesh, const at::Tensor& value) {
  return comm::all_gather(value.to(mesh.group(kExperts).device()), mesh, kExperts).to(at::kCPU);
}

/// With rows of `fill` up to `count`.
at::Tensor padded(const at::Tensor& x, int64_t count, double fill) {
  if (x.size(0) == count) return x;
  return at::cat({x, at::full({count - x.size(0), x.size(1)}, fill, x.options())});
}

at::Tensor to_experts(const at::Tensor& x_PH, const RowExchange& exchange) {
  at::Tensor sent = x_PH.contiguous();
  if (exchange.parts > 1) {
    std::vector<at::Tensor> copies;
    int64_t row = 0;
    for (size_t rank = 0; rank < exchange.sent_rows.size(); rank += static_cast<size_t>(exchange.parts)) {
      const at::Tensor rows = sent.narrow(0, row, exchange.sent_rows[rank]);
      copies.insert(copies.end(), static_cast<size_t>(exchange.parts), rows);
      row += rows.size(0);
    }
    sent = at::cat(copies);
  }
  const at::Tensor arrived = at::empty({exchange.arrival_R.numel(), x_PH.size(1)}, x_PH.options());
  exchange.group->all_to_all(arrived, sent, exchange.received_rows, exchange.sent_rows, "the exchange of tokens")
      ->wait();
  return arrived.index_select(0, exchange.arrival_R);
}

at::Tensor from_experts(const at::Tensor& y_RH, const RowExchange& exchange) {
  const at::Tensor sent = y_RH.index_select(0, exchange.place_R);
  const int64_t count = std::accumulate(exchange.sent_rows.begin(), exchange.sent_rows.end(), int64_t{0});
  at::Tensor arrived = at::empty({count, y_RH.size(1)}, y_RH.options());
  exchange.group->all_to_all(arrived, sent, exchange.sent_rows, exchange.received_rows, "the return of tokens")->wait();
  if (exchange.parts == 1) return arrived;
  std::vector<at::Tensor> sums;
  int64_t row = 0;
  for (size_t rank = 0; rank < exchange.sent_rows.size(); rank += static_cast<size_t>(exchange.parts)) {
    const int64_t rows = exchange.sent_rows[rank];
    sums.push_back(arrived.narrow(0, row, rows * exchange.parts).view({exchange.parts, rows, y_RH.size(1)}).sum(0));
    row += rows * exchange.parts;
  }
  return at::cat(sums);
}

using Way = at::Tensor (*)(const at::Tensor&, const RowExchange&);

template <Way forward_way, Way backward_way>
at::Tensor exchanged(const Recorder& recorder, const at::Tensor& x, const std::shared_ptr<const RowExchange>& exchange,
                     const char* name) {
  Tape tape(recorder, {x});
  const at::Tensor y = forward_way(x, *exchange);
  tape.record(
      {y},
      [exchange](const Grads& douts, const std::vector<at::Tensor>&) -> Grads {
        return {backward_way(douts[0], *exchange)};
      },
      name);
  return y;
}

}  // namespace

GatheredTokens::GatheredTokens(const comm::Mesh& mesh, const at::Tensor& x_TH, const Routes& routes)
    : mesh_(mesh), count_(x_TH.size(0)) {
  padded_ = from_all(mesh, at::full({1}, count_, at::kLong)).max().item<int64_t>();
  x_ = comm::gather_from(padded(x_TH, padded_, 0), mesh, kExperts);
  routes_ = {comm::gather_from(padded(routes.weights_TK, padded_, 0), mesh, kExperts),
             comm::all_gather(padded(routes.experts_TK, padded_, -1), mesh, kExperts)};
}

at::Tensor GatheredTokens::sum(const at::Tensor& y) const {
  return comm::reduce_scatter_to(y, mesh_, kExperts).narrow(0, 0, count_);
}

std::shared_ptr<const RowExchange> plan_exchange(const comm::Mesh& mesh, const std::vector<int64_t>& offsets,
                                                 at::Device device) {
  const int64_t experts = static_cast<int64_t>(offsets.size()) - 1, ranks = mesh.size(kExperts);
  const int64_t parts = mesh.layout().etp, block = experts / mesh.layout().ep;
  const int64_t first = mesh.index(kExperts) / parts * block;
  auto exchange = std::make_shared<RowExchange>();
  exchange->group = &mesh.group(kExperts);
  exchange->parts = parts;
  const at::Tensor own = at::empty({1, experts}, at::kLong);
  for (size_t e = 0; e + 1 < offsets.size(); ++e) own.data_ptr<int64_t>()[e] = offsets[e + 1] - offsets[e];
  const at::Tensor counts = from_all(mesh, own);  // [rank, expert]
  const auto* count = counts.const_data_ptr<int64_t>();
  std::vector<std::vector<int64_t>> arrivals(static_cast<size_t>(block));  // rows of each of this rank's experts
  int64_t row = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const int64_t his = rank / parts * block;
    exchange->sent_rows.push_back(offsets[static_cast<size_t>(his + block)] - offsets[static_cast<size_t>(his)]);
    const int64_t before = row;
    for (int64_t e = 0; e < block; ++e)
      for (int64_t n = count[rank * experts + first + e]; n > 0; --n) arrivals[static_cast<size_t>(e)].push_back(row++);
    exchange->received_rows.push_back(row - before);
  }
  const at::Tensor arrival = at::empty({row}, at::kLong);
  int64_t place = 0;
  exchange->offsets.push_back(0);
  for (const std::vector<int64_t>& rows : arrivals) {
    std::copy(rows.begin(), rows.end(), arrival.data_ptr<int64_t>() + place);
    place += static_cast<int64_t>(rows.size());
    exchange->offsets.push_back(place);
  }
  exchange->arrival_R = arrival.to(device);
  exchange->place_R = at::argsort(arrival).to(device);
  return exchange;
}

at::Tensor rows_to_experts(const Recorder& recorder, const at::Tensor& x_PH,
                           const std::shared_ptr<const RowExchange>& exchange) {
  return exchanged<to_experts, from_experts>(recorder, x_PH, exchange, "rows_to_experts");
}

at::Tensor rows_from_experts(const Recorder& recorder, const at::Tensor& y_RH,
                             const std::shared_ptr<const RowExchange>& exchange) {
  return exchanged<from_experts, to_experts>(recorder, y_RH, exchange, "rows_from_experts");
}

}  // namespace rialto::model
