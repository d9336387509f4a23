// The router: choices with ties and groups, weights and gradients against recorded formulas.
#include "rialto/kernels/router.h"

#include "compare.h"

namespace rialto::kernels {
namespace {

at::Tensor rows(std::vector<float> values, int64_t width) { return at::tensor(values).view({-1, width}); }
at::Tensor indices(std::vector<int64_t> values, int64_t width) { return at::tensor(values).view({-1, width}); }

/// Both bodies choose `want`.
void expect_choice(const at::Tensor& choice, const RouterOptions& options, const at::Tensor& want) {
  for (const at::Tensor& got : {cpu::select_experts(choice, options), ref::select_experts(choice, options)})
    EXPECT_TRUE(at::equal(got, want)) << got << " want " << want;
}

TEST(SelectExperts, OfEqualsTheLowerNumberWins) {
  expect_choice(rows({1, 3, 3, 2, 3, 0, 0, 0, 0, 0, 0, 0}, 6), {.top_k = 3}, indices({1, 2, 4, 0, 1, 2}, 3));
}

TEST(SelectExperts, GroupsByMaximumOrByTheSumOfTheBestTwo) {
  const at::Tensor choice = rows({9, 0, 0, 5, 5, 1, 4, 4, 3}, 9);  // groups: {9,0,0}, {5,5,1}, {4,4,3}
  RouterOptions options{.top_k = 2, .num_groups = 3, .top_groups = 1, .group_score = GroupScore::kMax};
  expect_choice(choice, options, indices({0, 1}, 2));
  options.group_score = GroupScore::kSumOfBestTwo;
  expect_choice(choice, options, indices({3, 4}, 2));
  options.top_groups = 2;
  options.top_k = 3;
  expect_choice(choice, options, indices({0, 3, 4}, 3));
}

TEST(SelectExperts, EqualGroupsTakeTheLowerOne) {
  const RouterOptions options{.top_k = 2, .num_groups = 2, .top_groups = 1, .group_score = GroupScore::kMax};
  expect_choice(rows({1, 1, 1, 1}, 4), options, indices({0, 1}, 2));
}

TEST(SelectExperts, EqualsReferenceOnRandomScoresWithManyTies) {
  at::manual_seed(1);
  for (const auto score : {GroupScore::kMax, GroupScore::kSumOfBestTwo}) {
    for (const int64_t top_groups : {4, 2, 1}) {
      const at::Tensor choice = at::randint(-3, 4, {300, 16}).to(at::kFloat);
      const RouterOptions options{.top_k = 4, .num_groups = 4, .top_groups = top_groups, .group_score = score};
      EXPECT_TRUE(at::equal(cpu::select_experts(choice, options), ref::select_experts(choice, options)));
    }
  }
}

TEST(SelectExperts, NumbersThatAreNoneStillGiveDifferentExperts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor got = cpu::select_experts(rows({nan, nan, nan, nan}, 4), {.top_k = 3});
  EXPECT_TRUE(at::equal(got, indices({0, 1, 2}, 3))) << got;
}

struct Named {
  const char* name;
  RouterOptions options;
  bool bias = false;
};
class EveryRouter : public testing::TestWithParam<Named> {};

/// The weights of given experts as transformers computes them, recorded.
at::Tensor formula(const at::Tensor& logits, const at::Tensor& experts, const RouterOptions& o) {
  if (o.softmax_after_top_k) return at::softmax(logits.gather(1, experts), -1) * o.scale;
  const at::Tensor scores = o.score == RouterScore::kSoftmax   ? at::softmax(logits, -1)
                            : o.score == RouterScore::kSigmoid ? at::sigmoid(logits)
                                                               : at::sqrt(at::softplus(logits));
  at::Tensor weights = scores.gather(1, experts);
  if (o.renormalize) weights = weights / (weights.sum(-1, true) + o.renormalize_eps);
  return weights * o.scale;
}

TEST_P(EveryRouter, WeightsAndGradientsEqualTheFormula) {
  const auto& [name, options, with_bias] = GetParam();
  at::manual_seed(2);
  const at::Tensor logits = at::randn({20, 8}, at::kDouble).set_requires_grad(true);
  const at::Tensor bias = with_bias ? at::randn({8}) * 3 : at::Tensor();
  const at::Tensor experts = router_choice(logits.detach(), bias, options);
  const at::Tensor want = formula(logits, experts, options), g = at::randn(want.sizes(), at::kDouble);
  want.backward(g);
  expect_close(router_weights(logits.detach(), experts, options), want.detach(), 1e-12, "weights");
  expect_close(router_backward(g, logits.detach(), experts, options), logits.grad(), 1e-12, "dlogits");
  if (!with_bias) return;
  EXPECT_FALSE(at::equal(router_choice(logits.detach(), {}, options), experts)) << "the bias chooses";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, EveryRouter,
    testing::Values(Named{"softmax", {.top_k = 3}}, Named{"softmax_renormalized", {.top_k = 3, .renormalize = true}},
                    Named{"after_top_k", {.softmax_after_top_k = true, .top_k = 3}},
                    Named{"sigmoid_bias_groups",
                          {.score = RouterScore::kSigmoid,
                           .top_k = 3,
                           .num_groups = 4,
                           .top_groups = 2,
                           .renormalize = true,
                           .renormalize_eps = 0.1,
                           .scale = 2.5},
                          true},
                    Named{"softmax_bias", {.top_k = 2, .renormalize = true}, true},
                    Named{"sqrt_softplus",
                          {.score = RouterScore::kSqrtSoftplus, .top_k = 2, .renormalize = true, .scale = 1.5}}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace rialto::kernels
