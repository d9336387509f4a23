// AdamW over flat buffers against a plain loop, weight by weight.
#include "rialto/optim/adamw.h"

#include "rialto/base/error.h"
#include "tests/unit/model/toy.h"

namespace rialto::optim {
namespace {

using model::expect_close;
using model::toy_spec;
using model::toy_weights;
using model::Weight;

void random_gradients(model::Weights& weights, uint64_t seed) {
  at::manual_seed(seed);
  for (Weight& w : weights.all()) {
    if (!w.frozen) w.main_grad.copy_(at::randn(w.main_grad.sizes()));
  }
}

/// The formula in fp64.
struct Plain {
  at::Tensor p, m, v;
  void step(const at::Tensor& grad, int t, double lr, double scale, double wd, const AdamWOptions& o) {
    const at::Tensor g = grad.to(at::kDouble) * scale;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const at::Tensor m_hat = m / (1 - std::pow(o.beta1, t)), v_hat = v / (1 - std::pow(o.beta2, t));
    p = p - lr * (m_hat / (v_hat.sqrt() + o.eps) + wd * p);
  }
};

class AdamWSteps : public testing::TestWithParam<at::ScalarType> {};

TEST_P(AdamWSteps, EqualAPlainLoop) {
  const auto spec = toy_spec({.qkv_bias = true});
  model::Weights weights = toy_weights(spec, GetParam());
  const AdamWOptions options{.beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.2};
  AdamW adam(weights, options);
  EXPECT_EQ(adam.main_is_weights(), GetParam() == at::kFloat);
  std::map<std::string, Plain> plain;
  for (const Weight& w : weights.all()) {
    const at::Tensor p = w.data.detach().to(at::kDouble).clone();
    plain[w.param.name] = {p, at::zeros_like(p), at::zeros_like(p)};
  }
  for (int t = 1; t <= 3; ++t) {
    random_gradients(weights, static_cast<uint64_t>(t));
    adam.step(0.01, 0.5);
    EXPECT_EQ(adam.num_steps(), t);
    for (const Weight& w : weights.all()) {
      Plain& want = plain[w.param.name];
      want.step(w.main_grad, t, 0.01, 0.5, w.param.weight_decay ? 0.2 : 0, options);
      expect_close(adam.main_of(w), want.p, 1e-6, w.param.name);
      expect_close(adam.exp_avg_of(w), want.m, 1e-6, w.param.name);
      expect_close(adam.exp_avg_sq_of(w), want.v, 1e-6, w.param.name);
      EXPECT_TRUE(at::equal(w.data.detach(), adam.main_of(w).to(GetParam()))) << w.param.name;
    }
  }
  bool decayed = false, spared = false;
  for (const Weight& w : weights.all()) (w.param.weight_decay ? decayed : spared) = true;
  EXPECT_TRUE(decayed && spared) << "the toy must have both";
}
INSTANTIATE_TEST_SUITE_P(DTypes, AdamWSteps, testing::Values(at::kFloat, at::kBFloat16));

TEST(AdamW, PaddingStaysZero) {
  model::Weights weights = toy_weights(toy_spec({}), at::kBFloat16);
  AdamW adam(weights, {});
  random_gradients(weights, 1);
  adam.step(0.1, 1);
  double inside = 0;
  for (const Weight& w : weights.all()) inside += adam.main_of(w).abs().to(at::kDouble).sum().item<double>();
  EXPECT_NEAR(adam.main().abs().to(at::kDouble).sum().item<double>(), inside, 1e-6 * inside);
}

TEST(AdamW, FrozenWeightsAreUntouched) {
  model::Weights weights = toy_weights(toy_spec({}), at::kFloat);
  const std::string frozen = "decoder.layers.1.mlp.linear_fc1.weight";
  weights.set_frozen(frozen, true);
  const at::Tensor before = weights.at(frozen).data.detach().clone(), other = weights.all()[0].data.detach().clone();
  AdamW adam(weights, {});
  random_gradients(weights, 1);
  adam.step(0.1, 1);
  EXPECT_TRUE(at::equal(weights.at(frozen).data.detach(), before));
  EXPECT_FALSE(at::equal(weights.all()[0].data.detach(), other));
}

TEST(AdamW, MainFollowsLoadedWeights) {
  model::Weights weights = toy_weights(toy_spec({}), at::kBFloat16);
  AdamW adam(weights, {});
  {
    const at::NoGradGuard no_grad;
    weights.flat_data().fill_(0.5);
  }
  adam.reset_main_from_weights();
  EXPECT_TRUE(at::equal(adam.main(), at::full_like(adam.main(), 0.5)));
}

TEST(AdamW, RefusesInferenceWeights) {
  model::Weights weights = toy_weights(toy_spec({}), at::kFloat, false);
  EXPECT_THROW(AdamW(weights, {}), Error);
}

}  // namespace
}  // namespace rialto::optim
