// Logits in fp32, the choice of experts and their weights.
#include "rialto/model/ffn/router.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::model {
namespace {

kernels::RouterScore score_of(spec::RouterScore score) {
  switch (score) {
    case spec::RouterScore::kSoftmax:
      return kernels::RouterScore::kSoftmax;
    case spec::RouterScore::kSigmoid:
      return kernels::RouterScore::kSigmoid;
    case spec::RouterScore::kSqrtSoftplus:
      return kernels::RouterScore::kSqrtSoftplus;
  }
  throw Error(ErrorKind::kInternal, "router", "unknown score");
}

kernels::RouterOptions options_of(const spec::MoeFfn& moe, const std::string& where) {
  const spec::Router& r = moe.router;
  const auto refuse = [&](const char* what, std::string got, std::string want) {
    throw Error(ErrorKind::kConfig, where + "mlp.router", what,
                {.got = std::move(got), .want = std::move(want), .hint = {}});
  };
  if (r.num_groups < 1 || moe.num_experts % r.num_groups != 0)
    refuse("groups do not divide the experts", fmt::format("{} experts in {} groups", moe.num_experts, r.num_groups),
           "a divisor");
  if (r.top_groups < 1 || r.top_groups > r.num_groups)
    refuse("more groups are kept than there are", std::to_string(r.top_groups), fmt::format("1 to {}", r.num_groups));
  const int64_t open = moe.num_experts / r.num_groups * r.top_groups;
  if (r.top_k < 1 || r.top_k > open)
    refuse("more experts are chosen than there are to choose from", std::to_string(r.top_k),
           fmt::format("1 to {}", open));
  return {.score = score_of(r.score),
          .softmax_after_top_k = r.softmax_after_top_k,
          .top_k = r.top_k,
          .num_groups = r.num_groups,
          .top_groups = r.top_groups,
          .group_score =
              r.group_score == spec::GroupScore::kMax ? kernels::GroupScore::kMax : kernels::GroupScore::kSumOfBestTwo,
          .renormalize = r.renormalize,
          .renormalize_eps = r.renormalize_eps,
          .scale = r.scale};
}

/// x W^T + b in fp32 (fp64 for fp64) whatever the dtype of both. Keeps x as it is.
at::Tensor wide_product(const Recorder& recorder, const at::Tensor& x_TH, const Linear& layer) {
  const Weight& weight = *layer.weight;
  const at::Tensor bias = layer.bias ? layer.bias->data : at::Tensor();
  const auto wide = kernels::wide_type(x_TH);
  Tape tape(recorder, {x_TH, weight.data, bias});
  const at::Tensor y = kernels::gemm_forward(x_TH.to(wide), weight.data.to(wide), bias, wide);
  const bool want_dx = tape.wants(0), want_dw = tape.wants(1), want_db = tape.wants(2);
  tape.keep(want_dw ? x_TH : at::Tensor(), "router.input");
  tape.record(
      {y},
      [recorder, want_dx, want_dw, want_db, wide, w = weight.data, dw = weight.main_grad,
       db = layer.bias ? layer.bias->main_grad : at::Tensor(),
       type = x_TH.scalar_type()](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor dy = douts[0];
        Grads dins(3);
        if (want_dx) dins[0] = kernels::gemm_grad_input(dy, w.to(wide), type);
        if (want_dw) recorder.weight_gradient([=, x = kept[0]] { kernels::gemm_grad_weight(dw, dy, x.to(wide)); });
        if (want_db) recorder.weight_gradient([=] { kernels::bias_grad(db, dy); });
        return dins;
      },
      "router_product");
  return y;
}

/// [E] int64 on the host: choices of each expert that were not dropped.
at::Tensor counts(const at::Tensor& experts_TK, int64_t num_experts) {
  return at::bincount(experts_TK.reshape({-1}) + 1, {}, num_experts + 1).narrow(0, 1, num_experts).to(at::kCPU);
}

void add_to(at::Tensor& sum, const at::Tensor& loss) { sum = sum.defined() ? at::add(sum, loss) : loss; }

void add_loss(Routing& routing, at::Tensor& reported, const at::Tensor& loss, double coeff) {
  add_to(routing.loss, loss);
  add_to(reported, at::div(loss.detach(), coeff));
}

}  // namespace

Router::Router(const spec::MoeFfn& spec, const Parts& parts)
    : mesh_(parts.mesh), options_(options_of(spec, parts.prefix)), num_experts_(spec.num_experts) {
  product_.weight = &parts("mlp.router.weight");
  if (spec.router.linear_bias) product_.bias = &parts("mlp.router.bias");
  if (spec.router.selection_bias) selection_bias_ = &parts("mlp.router.expert_bias");
}

Routes Router::forward(const Recorder& recorder, const at::Tensor& x_TH, Routing* routing) const {
  at::Tensor logits = wide_product(recorder, x_TH, product_);
  // Of all tokens of the micro-batch. The gradient is the sum over ranks.
  const int ranks = mesh_.token_ranks() * mesh_.size(comm::Axis::kCp);
  if (mesh_.token_ranks() > 1) logits = comm::gather_from(logits, mesh_, comm::Axis::kTp);
  logits = comm::gather_from(logits, mesh_, comm::Axis::kCp);
  Routes routes = route(recorder, logits, selection_bias_ ? selection_bias_->data : at::Tensor(), options_);
  if (routing && routing->capacity.factor > 0) routes.experts_TK = within(routing->capacity, routes, num_experts_);
  const int64_t count = x_TH.size(0);
  int64_t part = mesh_.index(comm::Axis::kCp) * mesh_.token_ranks();
  if (mesh_.token_ranks() > 1) part += mesh_.index(comm::Axis::kTp);
  const Routes own = ranks == 1 ? routes
                                : Routes{routes.weights_TK.narrow(0, part * count, count),
                                         routes.experts_TK.narrow(0, part * count, count)};
  if (!routing) return own;
  // Losses over all tokens are on each rank.
  if (const double coeff = routing->aux_loss_coeff / ranks; coeff != 0)
    add_loss(*routing, routing->aux_loss, load_balancing_loss(recorder, logits, options_.top_k, options_.score, coeff),
             coeff);
  if (const double coeff = routing->z_loss_coeff / ranks; coeff != 0)
    add_loss(*routing, routing->z_loss, router_z_loss(recorder, logits, coeff), coeff);
  if (routing->want_choices) routing->choices.push_back(routes.experts_TK);
  if (selection_bias_) {
    routing->tokens.push_back({selection_bias_->param.name, counts(routes.experts_TK, num_experts_)});
  }
  return own;
}

at::Tensor within(const Capacity& capacity, const Routes& routes, int64_t num_experts) {
  const at::Tensor experts = routes.experts_TK.reshape({-1});
  const auto limit = static_cast<int64_t>(
      std::ceil(static_cast<double>(experts.numel()) / static_cast<double>(num_experts) * capacity.factor));
  // Choices by expert, within one from the first to keep to the last.
  at::Tensor order = at::arange(experts.numel(), experts.options());
  if (!capacity.by_position) {
    const at::Tensor weights = routes.weights_TK.detach().reshape({-1});
    order = std::get<1>(at::sort(weights, /*stable=*/true, -1, /*descending=*/true));
  }
  order = order.index_select(0, std::get<1>(at::sort(experts.index_select(0, order), /*stable=*/true, -1, false)));
  const at::Tensor sorted = experts.index_select(0, order);
  const at::Tensor load = at::bincount(experts, {}, num_experts), first = load.cumsum(0) - load;
  const at::Tensor place = at::arange(experts.numel(), experts.options()) - first.index_select(0, sorted);
  const at::Tensor kept = at::where(place < limit, sorted, -1);
  return at::empty_like(experts).scatter_(0, order, kept).view(routes.experts_TK.sizes());
}

Routes route(const Recorder& recorder, const at::Tensor& logits_TE, const at::Tensor& selection_bias,
             const kernels::RouterOptions& options) {
  Tape tape(recorder, {logits_TE});
  const at::Tensor experts_TK =
      recorder.decide([&] { return kernels::router_choice(logits_TE, selection_bias, options); });
  const at::Tensor weights_TK = kernels::router_weights(logits_TE, experts_TK, options);
  tape.keep(logits_TE, "router.logits");
  tape.keep(experts_TK, "router.experts");
  tape.record(
      {weights_TK},
      [options](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        return {kernels::router_backward(douts[0], kept[0], kept[1], options)};
      },
      "route");
  return {weights_TK, experts_TK};
}

}  // namespace rialto::model
