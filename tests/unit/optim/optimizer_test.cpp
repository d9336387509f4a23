// The optimizer over flat buffers against plain loops, weight by weight; owned ranges, remainders, offload.
#include "rialto/optim/optimizer.h"

#include <ATen/Functions.h>

#include "rialto/base/error.h"
#include "rialto/optim/grad_norm.h"
#include "tests/unit/model/toy.h"

namespace rialto::optim {
namespace {

using model::expect_close;
using model::toy_spec;
using model::toy_weights;
using model::Weight;

constexpr Rates kRates{.lr = 0.01, .decoupled_lr = 0.01, .weight_decay = 0.2};

void random_gradients(model::Weights& weights, uint64_t seed) {
  at::manual_seed(seed);
  for (Weight& w : weights.all()) {
    if (!w.frozen) w.main_grad.copy_(at::randn(w.main_grad.sizes()));
  }
}

Range range_of(const Weight& w) { return {w.offset, w.offset + w.size}; }
at::Tensor state(const Optimizer& optimizer, const char* name, const Weight& w) {
  return optimizer.read(name, range_of(w)).view(w.data.sizes());
}

/// The formula in fp64.
struct Plain {
  at::Tensor p, m, v;
  void step(const at::Tensor& grad, int t, double lr, double scale, double wd, const Options& o) {
    const at::Tensor g = grad.to(at::kDouble) * scale;
    m = o.adam_beta1 * m + (1 - o.adam_beta1) * g;
    v = o.adam_beta2 * v + (1 - o.adam_beta2) * g * g;
    const at::Tensor m_hat = m / (1 - std::pow(o.adam_beta1, t)), v_hat = v / (1 - std::pow(o.adam_beta2, t));
    p = p - lr * (m_hat / (v_hat.sqrt() + o.adam_eps) + wd * p);
  }
};

class AdamWSteps : public testing::TestWithParam<at::ScalarType> {};

TEST_P(AdamWSteps, EqualAPlainLoop) {
  const auto spec = toy_spec({.qkv_bias = true});
  model::Weights weights = toy_weights(spec, GetParam());
  const Options options{.adam_beta1 = 0.9, .adam_beta2 = 0.98, .adam_eps = 1e-6};
  Optimizer adam(weights, options);
  EXPECT_EQ(adam.main_is_weights(), GetParam() == at::kFloat);
  std::map<std::string, Plain> plain;
  for (const Weight& w : weights.all()) {
    const at::Tensor p = w.data.detach().to(at::kDouble).clone();
    plain[w.param.name] = {p, at::zeros_like(p), at::zeros_like(p)};
  }
  for (int t = 1; t <= 3; ++t) {
    random_gradients(weights, static_cast<uint64_t>(t));
    adam.step(kRates, 0.5);
    EXPECT_EQ(adam.num_steps(), t);
    for (const Weight& w : weights.all()) {
      Plain& want = plain[w.param.name];
      want.step(w.main_grad, t, 0.01, 0.5, w.param.weight_decay ? 0.2 : 0, options);
      expect_close(state(adam, "param", w), want.p, 1e-6, w.param.name);
      expect_close(state(adam, "exp_avg", w), want.m, 1e-6, w.param.name);
      expect_close(state(adam, "exp_avg_sq", w), want.v, 1e-6, w.param.name);
      EXPECT_TRUE(at::equal(w.data.detach(), state(adam, "param", w).to(GetParam()))) << w.param.name;
    }
  }
  bool decayed = false, spared = false;
  for (const Weight& w : weights.all()) (w.param.weight_decay ? decayed : spared) = true;
  EXPECT_TRUE(decayed && spared) << "the toy must have both";
}
INSTANTIATE_TEST_SUITE_P(DTypes, AdamWSteps, testing::Values(at::kFloat, at::kBFloat16));

TEST(Optimizer, PaddingStaysZero) {
  model::Weights weights = toy_weights(toy_spec({}), at::kBFloat16);
  Optimizer adam(weights, {});
  random_gradients(weights, 1);
  adam.step(kRates, 1);
  const auto sum = [](const at::Tensor& x) { return x.detach().to(at::kDouble).abs().sum().item<double>(); };
  double inside = 0;
  for (const Weight& w : weights.all()) inside += sum(w.data);
  EXPECT_NEAR(sum(weights.flat_data()), inside, 1e-9 * inside);
}

TEST(Optimizer, FrozenWeightsAreUntouched) {
  model::Weights weights = toy_weights(toy_spec({}), at::kFloat);
  const std::string frozen = "decoder.layers.1.mlp.linear_fc1.weight";
  weights.set_frozen(frozen, true);
  const at::Tensor before = weights.at(frozen).data.detach().clone(), other = weights.all()[0].data.detach().clone();
  Optimizer adam(weights, {});
  random_gradients(weights, 1);
  adam.step(kRates, 1);
  EXPECT_TRUE(at::equal(weights.at(frozen).data.detach(), before));
  EXPECT_FALSE(at::equal(weights.all()[0].data.detach(), other));
  EXPECT_THROW((void)adam.read("exp_avg", range_of(weights.at(frozen))), Error);
}

TEST(Optimizer, MainFollowsLoadedWeights) {
  for (const bool remainders : {false, true}) {
    model::Weights weights = toy_weights(toy_spec({}), at::kBFloat16);
    Optimizer adam(weights, {.param_remainders = remainders});
    random_gradients(weights, 1);
    adam.step(kRates, 1);
    {
      const at::NoGradGuard no_grad;
      weights.flat_data().fill_(0.5);
    }
    adam.reset_main_from_weights();
    for (const Weight& w : weights.all())
      EXPECT_TRUE(at::equal(state(adam, "param", w), at::full(w.data.sizes(), 0.5)));
  }
}

TEST(Optimizer, RefusesInferenceWeights) {
  model::Weights weights = toy_weights(toy_spec({}), at::kFloat, false);
  EXPECT_THROW(Optimizer(weights, {}), Error);
}

/// A model with its optimizer after three steps.
struct Trained {
  Trained(at::ScalarType dtype, const Options& options, std::optional<std::vector<Range>> owned = {})
      : weights(toy_weights(toy_spec({.qkv_bias = true}), dtype)), optimizer(weights, options, std::move(owned)) {
    for (uint64_t t = 1; t <= 3; ++t) {
      random_gradients(weights, t);
      optimizer.step(kRates, 0.5);
    }
  }
  model::Weights weights;
  Optimizer optimizer;
};

constexpr Kind kElementwise[] = {Kind::kAdam, Kind::kSgd, Kind::kLion};

TEST(Optimizer, OwnedRangesTogetherAreTheWhole) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const Kind kind : kElementwise) {
      const Options options{.kind = kind, .param_remainders = kind == Kind::kAdam};
      const Trained whole(dtype, options);
      const int64_t size = whole.weights.flat_size();
      // Three ranks, each with its share of two buckets; the cuts respect neither weights nor padding.
      const int64_t bucket = size / 2 - 7;
      std::vector<at::Tensor> data;
      for (int64_t rank = 0; rank < 3; ++rank) {
        const auto share = [&](int64_t first, int64_t last) {
          const int64_t step = (last - first + 2) / 3;
          return Range{std::min(last, first + rank * step), std::min(last, first + (rank + 1) * step)};
        };
        const std::vector<Range> owned = {share(0, bucket), share(bucket, size)};
        const Trained part(dtype, options, owned);
        EXPECT_EQ(part.optimizer.owned(), owned);
        for (const Range& range : owned) {
          const auto of = [&](const Trained& run) {
            return const_cast<model::Weights&>(run.weights).flat_data().narrow(0, range.begin, range.size());
          };
          EXPECT_TRUE(at::equal(of(part), of(whole))) << name_of(kind) << " rank " << rank;
        }
        const Range outside = owned[0].begin > 0 ? Range{0, owned[0].begin} : Range{owned[0].end, owned[1].begin};
        const model::Weights start = toy_weights(toy_spec({.qkv_bias = true}), dtype);
        const auto untouched = [&](const model::Weights& weights) {
          return const_cast<model::Weights&>(weights).flat_data().narrow(0, outside.begin, outside.size());
        };
        EXPECT_TRUE(at::equal(untouched(part.weights), untouched(start)));
      }
    }
  }
}

TEST(Optimizer, StateOfAPartIsReadAndWritten) {
  const Trained whole(at::kBFloat16, {});
  const Weight& weight = whole.weights.all()[0];
  const int64_t middle = weight.offset + weight.size / 2 - 3;
  for (const bool remainders : {false, true}) {
    Trained part(at::kBFloat16, {.param_remainders = remainders},
                 std::vector<Range>{{0, middle}, {middle, weight.size}});
    EXPECT_TRUE(at::equal(state(part.optimizer, "param", weight), state(whole.optimizer, "param", weight)));
    EXPECT_TRUE(at::equal(state(part.optimizer, "exp_avg_sq", weight), state(whole.optimizer, "exp_avg_sq", weight)));
    for (const char* name : {"param", "exp_avg", "exp_avg_sq"}) {
      const at::Tensor values = at::rand({weight.size});
      part.optimizer.write(name, range_of(weight), values);
      EXPECT_TRUE(at::equal(part.optimizer.read(name, range_of(weight)), values)) << name;
    }
  }
}

TEST(Optimizer, RemaindersOffloadAndSmallMomentsAreReal) {
  const Trained plain(at::kBFloat16, {});
  for (const double fraction : {0.0, 0.3, 1.0}) {
    const Trained run(at::kBFloat16, {.param_remainders = true, .offload_fraction = fraction});
    EXPECT_TRUE(
        at::equal(const_cast<Trained&>(run).weights.flat_data(), const_cast<Trained&>(plain).weights.flat_data()));
    for (const Weight& w : run.weights.all()) {
      for (const char* name : {"param", "exp_avg", "exp_avg_sq"})
        EXPECT_TRUE(at::equal(state(run.optimizer, name, w), state(plain.optimizer, name, w))) << name;
    }
  }
  const Trained small(at::kBFloat16, {.exp_avg_dtype = at::kBFloat16, .exp_avg_sq_dtype = at::kBFloat16});
  const Weight& w = small.weights.all()[0];
  for (const char* name : {"exp_avg", "exp_avg_sq"}) {
    const at::Tensor got = state(small.optimizer, name, w), want = state(plain.optimizer, name, w);
    EXPECT_TRUE(at::equal(got, got.to(at::kBFloat16).to(at::kFloat))) << name;
    EXPECT_FALSE(at::equal(got, want)) << name;
    expect_close(got, want, 2e-2, name);
  }
}

TEST(Optimizer, EmbeddingAndHeadHaveTheDecoupledRate) {
  for (const char* name :
       {"embedding.word_embeddings.weight", "output_layer.weight", "decoder.layers.0.mlp.linear_fc1.weight"}) {
    model::Weights weights = toy_weights(toy_spec({}), at::kFloat);
    Optimizer sgd(weights, {.kind = Kind::kSgd, .sgd_momentum = 0});
    random_gradients(weights, 1);
    const Weight& w = weights.at(name);
    const at::Tensor before = w.data.detach().clone();
    sgd.step({.lr = 0.01, .decoupled_lr = 0.1, .weight_decay = 0}, 1);
    const double lr = std::string(name).starts_with("decoder") ? 0.01 : 0.1;
    expect_close(w.data.detach(), before - w.main_grad * lr, 1e-6, name);
  }
}

TEST(Optimizer, MuonStepsAreOrthogonalMatrices) {
  model::Weights weights = toy_weights(toy_spec({}), at::kFloat);
  Optimizer muon(weights, {.kind = Kind::kMuon, .muon = {.bf16_products = false}});
  random_gradients(weights, 1);
  const Weight& w = weights.at("decoder.layers.0.mlp.linear_fc2.weight");
  const at::Tensor before = w.data.detach().clone();
  muon.step({.lr = 0.01, .decoupled_lr = 0.01, .weight_decay = 0}, 1);
  const double scale = 0.01 * std::sqrt(static_cast<double>(std::max(w.data.size(0), w.data.size(1))));
  const at::Tensor step = (before - w.data.detach()) / scale;
  const at::Tensor square = w.data.size(0) > w.data.size(1) ? at::mm(step.t(), step) : at::mm(step, step.t());
  // Five steps leave singular values near 1, not at it.
  EXPECT_LT((square - at::eye(square.size(0))).abs().max().item<double>(), 0.4);
  EXPECT_EQ(muon.state_names(w.param).size(), 1u);
  EXPECT_EQ(muon.state_names(weights.at("embedding.word_embeddings.weight").param).size(), 2u);
}

}  // namespace
}  // namespace rialto::optim
