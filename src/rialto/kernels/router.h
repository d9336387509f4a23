// The router of a mixture of experts: scores of all experts, the choice of a few, and what each counts. Shape letters:
// T tokens, E experts, K chosen.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

enum class RouterScore : uint8_t { kSoftmax, kSigmoid, kSqrtSoftplus };
enum class GroupScore : uint8_t { kMax, kSumOfBestTwo };

struct RouterOptions {
  RouterScore score = RouterScore::kSoftmax;
  bool softmax_after_top_k = false;        ///< choose by logits; weights are the softmax of the chosen ones
  int64_t top_k = 1;                       ///< K
  int64_t num_groups = 1, top_groups = 1;  ///< of neighbouring experts; only the best groups are considered
  GroupScore group_score = GroupScore::kSumOfBestTwo;
  bool renormalize = false;  ///< weights divided by their sum + renormalize_eps
  double renormalize_eps = 0, scale = 1;
};

/// logits [T,E] fp32 (fp64), bias [E] or undefined: added to the scores for choosing, never for weighing. -> int64
/// [T,K], the best first; of equals the lower number first.
at::Tensor router_choice(const at::Tensor& logits, const at::Tensor& bias, const RouterOptions& options);
/// What the chosen ones weigh [T,K], as logits.
at::Tensor router_weights(const at::Tensor& logits, const at::Tensor& experts_TK, const RouterOptions& options);
/// -> gradient of the logits [T,E]. The choice itself has none.
at::Tensor router_backward(const at::Tensor& dweights_TK, const at::Tensor& logits, const at::Tensor& experts_TK,
                           const RouterOptions& options);

/// [T,E] -> [T,E] of the same dtype.
at::Tensor router_scores(const at::Tensor& logits, RouterScore score);
/// Gradient of the logits, given the scores that router_scores made of them.
at::Tensor router_scores_backward(const at::Tensor& dscores, const at::Tensor& scores, const at::Tensor& logits,
                                  RouterScore score);

/// The K best of each row of `choice` [T,E], restricted to the best groups. int64 [T,K] in falling order.
at::Tensor select_experts(const at::Tensor& choice, const RouterOptions& options);

namespace ref {
at::Tensor select_experts(const at::Tensor& choice, const RouterOptions& options);
}
namespace cpu {
at::Tensor select_experts(const at::Tensor& choice, const RouterOptions& options);
}

}  // namespace rialto::kernels
