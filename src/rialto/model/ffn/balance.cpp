// What keeps the experts evenly loaded: two losses on the router's logits, and the selection bias.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/model/ffn/router.h"

namespace rialto::model {
namespace {

constexpr double kScoreEps = 1e-20;

/// Scores that sum to 1 over the experts: softmax is so already.
at::Tensor normalised(const at::Tensor& scores, kernels::RouterScore score) {
  return score == kernels::RouterScore::kSoftmax ? scores : scores / (scores.sum(-1, true) + kScoreEps);
}

/// Of each row, [T,1]. Through log_softmax, which does not take MKL's functions (kernels/dispatch.h says why).
at::Tensor log_sum_exp(const at::Tensor& x_TE) {
  return x_TE.amax({-1}, true) - at::log_softmax(x_TE, -1).amax({-1}, true);
}

}  // namespace

at::Tensor load_balancing_loss(const Recorder& recorder, const at::Tensor& logits_TE, int64_t top_k,
                               kernels::RouterScore score, double coeff) {
  Tape tape(recorder, {logits_TE});
  const auto tokens = static_cast<double>(logits_TE.size(0));
  const int64_t experts = logits_TE.size(1);
  const at::Tensor p = normalised(kernels::router_scores(logits_TE, score), score);
  const at::Tensor chosen = kernels::select_experts(p, {.top_k = top_k}).reshape({-1});
  const double factor = coeff * static_cast<double>(experts) / (static_cast<double>(top_k) * tokens * tokens);
  const at::Tensor load_E = at::bincount(chosen, {}, experts).to(p.scalar_type()) * factor;
  const at::Tensor loss = (p.sum(0) * load_E).sum();
  tape.keep(logits_TE, "balance.logits");
  tape.keep(load_E, "balance.load");
  tape.record(
      {loss},
      [score](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const at::Tensor scores = kernels::router_scores(kept[0], score);
        at::Tensor g = (kept[1] * douts[0]).expand_as(scores);
        if (score != kernels::RouterScore::kSoftmax) {
          const at::Tensor sum = scores.sum(-1, true) + kScoreEps;
          g = (g - (g * scores).sum(-1, true) / sum) / sum;
        }
        return {kernels::router_scores_backward(g, scores, kept[0], score)};
      },
      "load_balancing_loss");
  return loss;
}

at::Tensor router_z_loss(const Recorder& recorder, const at::Tensor& logits_TE, double coeff) {
  Tape tape(recorder, {logits_TE});
  const at::Tensor loss = log_sum_exp(logits_TE).square().mean() * coeff;
  tape.keep(logits_TE, "z_loss.logits");
  tape.record(
      {loss},
      [coeff](const Grads& douts, const std::vector<at::Tensor>& kept) -> Grads {
        const double factor = 2 * coeff / static_cast<double>(kept[0].size(0));
        return {at::softmax(kept[0], -1) * log_sum_exp(kept[0]) * (douts[0] * factor)};
      },
      "router_z_loss");
  return loss;
}

void update_selection_bias(Weights& weights, const std::vector<RoutedTokens>& tokens, double rate) {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> sums;
  for (const RoutedTokens& routed : tokens) {
    auto [entry, fresh] = sums.try_emplace(routed.bias, routed.tokens_E);
    if (!fresh) entry->second = entry->second + routed.tokens_E;
  }
  for (const auto& [name, tokens_E] : sums) {
    Weight& bias = weights.at(name);
    const at::Tensor load = tokens_E.to(at::kDouble);
    bias.data.add_((at::sign(load.mean() - load) * rate).to(bias.data.device(), bias.data.scalar_type()));
  }
}

}  // namespace rialto::model
