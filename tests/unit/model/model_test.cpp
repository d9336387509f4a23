// Whole models against a decoder in plain recorded fp64 operations: logits, loss and every gradient.
#include "rialto/model/model.h"

#include <ATen/Parallel.h>

#include "rialto/base/error.h"
#include "toy.h"

namespace rialto::model {
namespace {

struct Named {
  const char* name;
  ToyOptions options;
};
class WholeModel : public testing::TestWithParam<Named> {};

TEST_P(WholeModel, EqualsPlainOperations) {
  const spec::ModelSpec spec = toy_spec(GetParam().options);
  Weights weights = toy_weights(spec, at::kFloat);
  const Model model(spec, weights, {}, whole(spec));
  const PlainModel plain(spec, weights);
  const Batch batch = toy_batch(spec, 2, 70);
  expect_close(model.forward_logits(batch.tokens_BS), plain.logits(batch), 1e-5, "logits");
  const LossSum loss = model.forward_loss(batch);
  const at::Tensor want = plain.loss(batch);
  expect_close(loss.sum, want, 1e-5, "loss");
  EXPECT_NEAR(loss.weight, batch.loss_weights_BS.to(at::kDouble).sum().item<double>(), 1e-9);
  backward(loss, 1 / loss.weight);
  want.backward(at::scalar_tensor(1 / loss.weight, at::kDouble));
  expect_gradients(weights, plain, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Kinds, WholeModel,
                         testing::Values(Named{"llama", {}}, Named{"tied", {.tied = true}},
                                         Named{"bias", {.tied = true, .qkv_bias = true}},
                                         Named{"qk_norm", {.hidden = 40, .head_dim = 24, .qk_norm = true}},
                                         Named{"window", {.window = 20}},
                                         Named{"scaled", {.scaling = spec::LinearScaling{4.0}}},
                                         Named{"odd_head", {.hidden = 36, .head_dim = 6}}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Model, GradientsAccumulateOverMicroBatches) {
  const spec::ModelSpec spec = toy_spec({.tied = true});
  Weights weights = toy_weights(spec, at::kFloat);
  const Model model(spec, weights, {}, whole(spec));
  const PlainModel plain(spec, weights);
  for (const uint64_t seed : {1U, 2U}) {
    const Batch batch = toy_batch(spec, 1, 20, seed);
    backward(model.forward_loss(batch), 0.01);
    plain.loss(batch).backward(at::scalar_tensor(0.01, at::kDouble));
  }
  expect_gradients(weights, plain, 1e-5);
  weights.zero_grad();
  EXPECT_EQ(weights.flat_grad().abs().max().item<float>(), 0);
}

TEST(Model, PackedDocumentsEqualSeparateOnes) {
  for (const std::optional<int64_t> window : {std::optional<int64_t>{}, std::optional<int64_t>{30}}) {
    const spec::ModelSpec spec = toy_spec({.window = window});
    Weights weights = toy_weights(spec, at::kFloat), apart_weights = toy_weights(spec, at::kFloat);
    const Model model(spec, weights, {}, whole(spec)), apart(spec, apart_weights, {}, whole(spec));
    const int64_t lengths[] = {57, 43};
    Batch packed = toy_batch(spec, 1, 100);
    packed.positions_BS = at::cat({at::arange(57, at::kLong), at::arange(43, at::kLong)}).unsqueeze(0);
    packed.documents_BS = at::cat({at::zeros({57}, at::kLong), at::ones({43}, at::kLong)}).unsqueeze(0);
    const at::Tensor logits = model.logits(
        model.blocks(model.embed(packed.tokens_BS),
                     {.positions_BS = packed.positions_BS, .documents_BS = packed.documents_BS, .cache = nullptr}));
    backward(model.forward_loss(packed), 0.01);
    int64_t first = 0;
    for (const int64_t length : lengths) {
      Batch one = toy_batch(spec, 1, length);
      one.tokens_BS = packed.tokens_BS.narrow(1, first, length);
      one.labels_BS = packed.labels_BS.narrow(1, first, length);
      one.loss_weights_BS = packed.loss_weights_BS.narrow(1, first, length);
      expect_close(logits.narrow(1, first, length), apart.forward_logits(one.tokens_BS), 1e-5, "logits");
      backward(apart.forward_loss(one), 0.01);
      first += length;
    }
    const double largest = apart_weights.flat_grad().abs().max().item<double>();
    for (const Weight& w : weights.all())
      expect_close(w.main_grad, apart_weights.at(w.param.name).main_grad, 1e-5, w.param.name, 1e-3 * largest);
  }
}

TEST(Model, DocumentInTwoPlacesIsRefused) {
  const spec::ModelSpec spec = toy_spec({});
  Weights weights = toy_weights(spec, at::kFloat);
  const Model model(spec, weights, {}, whole(spec));
  Batch batch = toy_batch(spec, 1, 3);
  batch.documents_BS = at::tensor({int64_t{0}, int64_t{1}, int64_t{0}}).unsqueeze(0);
  EXPECT_THROW(model.forward_loss(batch), Error);
}

TEST(Model, StagesChainToTheWhole) {
  for (const bool tied : {false, true}) expect_stages_chain(toy_spec({.layers = 3, .tied = tied}));
}

TEST(Model, FrozenWeightsStayWithoutGradient) {
  const spec::ModelSpec spec = toy_spec({.tied = true});
  Weights weights = toy_weights(spec, at::kFloat), all = toy_weights(spec, at::kFloat);
  const Batch batch = toy_batch(spec, 1, 15);
  weights.set_frozen("embedding.word_embeddings.weight", true);
  weights.set_frozen("decoder.layers.0.mlp.linear_fc1.weight", true);
  backward(Model(spec, weights, {}, whole(spec)).forward_loss(batch), 1);
  backward(Model(spec, all, {}, whole(spec)).forward_loss(batch), 1);
  for (const Weight& w : weights.all()) {
    if (w.frozen) {
      EXPECT_EQ(w.main_grad.abs().max().item<float>(), 0) << w.param.name;
    } else {
      EXPECT_TRUE(at::equal(w.main_grad, all.at(w.param.name).main_grad)) << w.param.name;
    }
  }
  for (Weight& w : weights.all()) weights.set_frozen(w.param.name, true);
  backward(Model(spec, weights, {}, whole(spec)).forward_loss(batch), 1);  // nothing to do, and no error
}

TEST(Model, SameBitsEveryRun) {
  const spec::ModelSpec spec = toy_spec({.tied = true, .window = 30});
  const Batch batch = toy_batch(spec, 2, 64);
  std::vector<at::Tensor> grads;
  for (int run = 0; run < 3; ++run) {
    Weights weights = toy_weights(spec, at::kFloat);
    const Model model(spec, weights, {}, whole(spec));
    backward(model.forward_loss(batch), 0.1);
    grads.push_back(weights.flat_grad().clone());
  }
  EXPECT_TRUE(at::equal(grads[0], grads[1]));
  EXPECT_TRUE(at::equal(grads[0], grads[2]));
}

TEST(Model, Bf16StaysNearFp32AndGradientsAreFp32) {
  const spec::ModelSpec spec = toy_spec({.tied = true, .qkv_bias = true, .qk_norm = true});
  Weights weights = toy_weights(spec, at::kBFloat16);
  const Model model(spec, weights, {}, whole(spec));
  const PlainModel plain(spec, weights);
  const Batch batch = toy_batch(spec, 2, 40);
  const LossSum loss = model.forward_loss(batch);
  EXPECT_EQ(loss.sum.scalar_type(), at::kFloat);
  expect_close(loss.sum, plain.loss(batch), 5e-3, "loss");
  const at::Tensor logits = model.forward_logits(batch.tokens_BS);
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  expect_close(logits, plain.logits(batch), 5e-2, "logits");
  backward(loss, 0.05);
  plain.loss(batch).backward(at::scalar_tensor(0.05, at::kDouble));
  EXPECT_EQ(weights.flat_grad().scalar_type(), at::kFloat);
  expect_gradients(weights, plain, 6e-2);
}

}  // namespace
}  // namespace rialto::model
