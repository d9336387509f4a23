// The router in plain ATen operations, and the choice of the selection's body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "rialto/base/error.h"
#include "rialto/kernels/router.h"

namespace rialto::kernels {
namespace {

/// Indices of the k largest of the last dim; of equals the lower index first, on every device.
at::Tensor best(const at::Tensor& x, int64_t k) {
  return std::get<1>(at::sort(x, /*stable=*/true, -1, /*descending=*/true)).narrow(-1, 0, k);
}

at::Tensor only_best_groups(const at::Tensor& choice, const RouterOptions& options) {
  const int64_t tokens = choice.size(0), size = choice.size(1) / options.num_groups;
  const at::Tensor grouped = choice.view({tokens, options.num_groups, size});
  const at::Tensor score = options.group_score == GroupScore::kMax
                               ? grouped.amax(-1)
                               : std::get<0>(grouped.topk(std::min<int64_t>(2, size), -1)).sum(-1);
  const at::Tensor kept = at::zeros({tokens, options.num_groups}, choice.options().dtype(at::kBool))
                              .scatter_(1, best(score, options.top_groups), true);
  return grouped.masked_fill(kept.logical_not().unsqueeze(-1), -std::numeric_limits<double>::infinity())
      .view(choice.sizes());
}

}  // namespace

at::Tensor router_scores(const at::Tensor& logits, RouterScore score) {
  switch (score) {
    case RouterScore::kSoftmax:
      return at::softmax(logits, -1);
    case RouterScore::kSigmoid:
      return at::sigmoid(logits);
    case RouterScore::kSqrtSoftplus:
      return at::softplus(logits).sqrt();
  }
  throw Error(ErrorKind::kInternal, "router", "unknown score");
}

at::Tensor router_scores_backward(const at::Tensor& dscores, const at::Tensor& scores, const at::Tensor& logits,
                                  RouterScore score) {
  switch (score) {
    case RouterScore::kSoftmax:
      return scores * (dscores - (dscores * scores).sum(-1, true));
    case RouterScore::kSigmoid:
      return dscores * scores * (1 - scores);
    case RouterScore::kSqrtSoftplus:
      return dscores * at::sigmoid(logits) / (2 * scores);
  }
  throw Error(ErrorKind::kInternal, "router", "unknown score");
}

namespace {

/// What is chosen and weighed by.
at::Tensor values_of(const at::Tensor& logits, const RouterOptions& options) {
  return options.softmax_after_top_k ? logits : router_scores(logits, options.score);
}

}  // namespace

at::Tensor router_choice(const at::Tensor& logits, const at::Tensor& bias, const RouterOptions& options) {
  const at::Tensor scores = values_of(logits, options);
  return select_experts(bias.defined() ? scores + bias.to(scores.scalar_type()) : scores, options);
}

at::Tensor router_weights(const at::Tensor& logits, const at::Tensor& experts_TK, const RouterOptions& options) {
  at::Tensor weights = values_of(logits, options).gather(1, experts_TK);
  if (options.softmax_after_top_k) weights = at::softmax(weights, -1);
  if (options.renormalize) weights = weights / (weights.sum(-1, true) + options.renormalize_eps);
  return options.scale != 1 ? weights * options.scale : weights;
}

at::Tensor router_backward(const at::Tensor& dweights_TK, const at::Tensor& logits, const at::Tensor& experts_TK,
                           const RouterOptions& options) {
  const at::Tensor scores = values_of(logits, options);
  at::Tensor chosen = scores.gather(1, experts_TK), g = dweights_TK * options.scale;
  if (options.softmax_after_top_k) chosen = at::softmax(chosen, -1);
  if (options.renormalize) {
    const at::Tensor sum = chosen.sum(-1, true) + options.renormalize_eps;
    g = (g - (g * chosen).sum(-1, true) / sum) / sum;
  }
  if (options.softmax_after_top_k) g = chosen * (g - (g * chosen).sum(-1, true));
  const at::Tensor dscores = at::zeros_like(logits).scatter_(1, experts_TK, g);  // the K of a row differ
  return options.softmax_after_top_k ? dscores : router_scores_backward(dscores, scores, logits, options.score);
}

at::Tensor ref::select_experts(const at::Tensor& choice, const RouterOptions& options) {
  const bool limited = options.top_groups < options.num_groups;
  return best(limited ? only_best_groups(choice, options) : choice, options.top_k).contiguous();
}

at::Tensor select_experts(const at::Tensor& choice, const RouterOptions& options) {
  return choice.is_cpu() && choice.scalar_type() == at::kFloat ? cpu::select_experts(choice.contiguous(), options)
                                                               : ref::select_experts(choice, options);
}

}  // namespace rialto::kernels
