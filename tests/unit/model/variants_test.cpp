// Models with every kind of norm, feed-forward block and head against the same in plain recorded fp64 operations.
#include "variants.h"

#include <ATen/Parallel.h>

#include "rialto/base/error.h"
#include "rialto/model/model.h"
#include "toy.h"

namespace rialto::model {
namespace {

struct Named {
  const char* name;
  spec::ModelSpec (*make)();
};
class Variant : public testing::TestWithParam<Named> {};

TEST_P(Variant, EqualsPlainOperations) {
  const spec::ModelSpec spec = GetParam().make();
  Weights weights = toy_weights(spec, at::kFloat);
  const Model model(spec, weights, {}, whole(spec));
  const PlainModel plain(spec, weights);
  const Batch batch = toy_batch(spec, 2, 35);
  expect_close(model.forward_logits(batch.tokens_BS), plain.logits(batch), 1e-5, "logits");
  const LossSum loss = model.forward_loss(batch);
  const at::Tensor want = plain.loss(batch);
  expect_close(loss.sum, want, 1e-5, "loss");
  EXPECT_FALSE(loss.extra.defined()) << "nothing was asked for";
  backward(loss, 1 / loss.weight);
  want.backward(at::scalar_tensor(1 / loss.weight, at::kDouble));
  expect_gradients(weights, plain, 1e-5);
}

TEST_P(Variant, Bf16StaysNearAndHasTheSameBitsEveryRun) {
  const spec::ModelSpec spec = GetParam().make();
  const Batch batch = toy_batch(spec, 1, 33);
  std::vector<at::Tensor> grads;
  at::set_num_threads(2);
  for (int run = 0; run < 2; ++run) {
    Weights weights = toy_weights(spec, at::kBFloat16);
    const LossSum loss = Model(spec, weights, {}, whole(spec)).forward_loss(batch);
    expect_close(loss.sum, PlainModel(spec, weights).loss(batch), 1e-2, "loss");
    backward(loss, 0.05);
    grads.push_back(weights.flat_grad().clone());
  }
  EXPECT_TRUE(at::equal(grads[0], grads[1]));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Variant,
                         testing::Values(Named{"sandwich", sandwich}, Named{"post_norms_only", post_norms_only},
                                         Named{"layer_norm", layer_norm}, Named{"clamped", clamped},
                                         Named{"softmax_experts", softmax_experts},
                                         Named{"grouped_experts", grouped_experts}, Named{"gated_shared", gated_shared},
                                         Named{"biased_experts", biased_experts},
                                         Named{"sqrt_softplus", sqrt_softplus_experts}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Variants, StagesChainToTheWhole) {
  for (const auto make : {sandwich, grouped_experts}) expect_stages_chain(make());
}

TEST(Variants, CachedDecodingEqualsOnePass) {
  for (const auto make : {sandwich, post_norms_only, grouped_experts}) {
    const spec::ModelSpec spec = make();
    Weights weights = toy_weights(spec, at::kFloat, false);
    const Model model(spec, weights, {}, whole(spec));
    const at::NoGradGuard no_grad;
    const at::Tensor tokens = toy_batch(spec, 1, 20).tokens_BS, whole_pass = model.forward_logits(tokens);
    Cache cache = model.make_cache();
    for (int64_t i = 0; i < 20; ++i) {
      const at::Tensor step = model.forward_logits(tokens.narrow(1, i, 1), &cache);
      expect_close(step, whole_pass.narrow(1, i, 1), 1e-5, "token " + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace rialto::model
