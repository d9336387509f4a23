// What training adds to the next-token loss: router losses, multi-token prediction, and the selection bias between
// steps.
#include "rialto/base/error.h"
#include "rialto/model/model.h"
#include "rialto/model/mtp.h"
#include "toy.h"
#include "variants.h"

namespace rialto::model {
namespace {

spec::MtpBlock mtp_block(const spec::Layer& layer) {
  return {.embedding_norm = {.eps = 1e-5}, .hidden_norm = {.eps = 1e-5}, .final_norm = {.eps = 1e-5}, .layer = layer};
}
spec::ModelSpec with_mtp(spec::ModelSpec model, size_t depths) {
  for (size_t m = 0; m < depths; ++m) model.mtp.push_back(mtp_block(model.layers.back()));
  return model;
}
Batch two_documents(const spec::ModelSpec& spec) {
  Batch batch = toy_batch(spec, 1, 30);
  batch.documents_BS = at::cat({at::zeros({17}, at::kLong), at::ones({13}, at::kLong)}).unsqueeze(0);
  batch.positions_BS = at::cat({at::arange(17, at::kLong), at::arange(13, at::kLong)}).unsqueeze(0);
  return batch;
}

void expect_objective(const spec::ModelSpec& spec, const Batch& batch, const Objective& objective) {
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  model.set_objective(objective);
  const PlainModel plain(spec, weights);
  const LossSum loss = model.forward_loss(batch);
  const at::Tensor want = plain.objective(batch, objective);
  expect_close(loss.sum, plain.loss(batch), 1e-5, "the reported loss is the next token's alone");
  ASSERT_TRUE(loss.extra.defined());
  expect_close(loss.sum + loss.extra, want, 1e-5, "objective");
  backward(loss, 1 / loss.weight);
  want.backward(at::scalar_tensor(1 / loss.weight, at::kDouble));
  expect_gradients(weights, plain, 1e-5);
}

TEST(Objective, RouterLossesEqualMegatronsFormulas) {
  const auto batch_of = [](const spec::ModelSpec& spec) { return toy_batch(spec, 2, 30); };
  for (const auto make : {softmax_experts, grouped_experts, sqrt_softplus_experts}) {
    const spec::ModelSpec spec = make();
    expect_objective(spec, batch_of(spec), {.moe_aux_loss_coeff = 0.3});
    expect_objective(spec, batch_of(spec), {.moe_z_loss_coeff = 0.2});
    expect_objective(spec, batch_of(spec), {.moe_aux_loss_coeff = 0.3, .moe_z_loss_coeff = 0.2});
  }
}

TEST(Objective, MultiTokenPredictionEqualsPlainOperations) {
  for (const size_t depths : {1, 2}) {
    for (const auto make : {sandwich, grouped_experts}) {
      const spec::ModelSpec spec = with_mtp(make(), depths);
      expect_objective(spec, toy_batch(spec, 2, 25), {.mtp_loss_scaling_factor = 0.3});
      expect_objective(spec, two_documents(spec), {.moe_aux_loss_coeff = 0.1, .mtp_loss_scaling_factor = 0.3});
    }
  }
}

TEST(Objective, PredictionBlocksAreOffWithoutAFactorAndInUse) {
  const spec::ModelSpec spec = with_mtp(toy_spec({}), 1);
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  const Batch batch = toy_batch(spec, 1, 12);
  backward(model.forward_loss(batch), 1);
  const at::Tensor logits = model.forward_logits(batch.tokens_BS);
  for (Weight& w : weights.all()) {
    if (w.param.name.rfind("mtp.", 0) != 0) continue;
    EXPECT_EQ(w.main_grad.abs().max().item<float>(), 0) << w.param.name;
    const at::NoGradGuard no_grad;
    w.data.fill_(7);
  }
  EXPECT_TRUE(at::equal(logits, model.forward_logits(batch.tokens_BS)));
  model.set_objective({.moe_aux_loss_coeff = 1, .mtp_loss_scaling_factor = 1});
  const at::NoGradGuard evaluation;
  EXPECT_FALSE(model.forward_loss(batch).extra.defined());
}

TEST(Objective, ShiftsStopAtDocumentsAndRows) {
  Batch batch;
  batch.tokens_BS = at::arange(1, 7, at::kLong).unsqueeze(0);
  batch.labels_BS = at::arange(11, 17, at::kLong).unsqueeze(0);
  batch.loss_weights_BS = at::ones({1, 6});
  batch.documents_BS = at::tensor({0, 0, 0, 1, 1, 1}, at::kLong).unsqueeze(0);
  const Batch next = shifted(batch, 2);
  EXPECT_TRUE(at::equal(next.tokens_BS, at::tensor({3, 0, 0, 6, 0, 0}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(at::equal(next.labels_BS, at::tensor({13, 0, 0, 16, 0, 0}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(at::equal(next.loss_weights_BS, at::tensor({1.F, 0.F, 0.F, 1.F, 0.F, 0.F}).unsqueeze(0)));
  batch.documents_BS = at::Tensor();
  EXPECT_TRUE(at::equal(shifted(batch, 2).tokens_BS, at::tensor({3, 4, 5, 6, 0, 0}, at::kLong).unsqueeze(0)));
  EXPECT_EQ(shifted(batch, 9).loss_weights_BS.sum().item<float>(), 0);
}

TEST(SelectionBias, CountsTokensAndMovesTowardsTheAverage) {
  const spec::ModelSpec spec = grouped_experts();
  Weights weights = toy_weights(spec, at::kBFloat16);
  const Model model(spec, weights, {}, whole(spec));
  const std::string name = "decoder.layers.1.mlp.router.expert_bias";
  Weight& bias = weights.at(name);
  EXPECT_EQ(bias.data.scalar_type(), at::kFloat) << "fp32 in a bf16 model";
  std::vector<RoutedTokens> routed;
  for (const uint64_t seed : {1U, 2U}) {
    for (RoutedTokens& tokens : model.forward_loss(toy_batch(spec, 1, 20, seed)).routed) routed.push_back(tokens);
  }
  ASSERT_EQ(routed.size(), 2U);
  EXPECT_EQ(routed[0].bias, name);
  EXPECT_EQ(routed[0].tokens_E.sum().item<int64_t>(), 20 * 3);
  const at::Tensor before = bias.data.clone(), load = (routed[0].tokens_E + routed[1].tokens_E).to(at::kFloat);
  update_selection_bias(weights, routed, 0.01);
  EXPECT_TRUE(at::equal(bias.data, before + at::sign(load.mean() - load) * 0.01F));
  const at::NoGradGuard evaluation;
  EXPECT_TRUE(model.forward_loss(toy_batch(spec, 1, 20)).routed.empty());
}

TEST(Choices, AreThoseThatTheCountsAreOf) {
  const spec::ModelSpec spec = grouped_experts();
  Weights weights = toy_weights(spec, at::kFloat);
  const Model model(spec, weights, {}, whole(spec));
  const Batch batch = toy_batch(spec, 1, 20);
  Routing routing{.want_choices = true};
  const at::Tensor logits = model.forward_logits(batch.tokens_BS, nullptr, &routing);
  EXPECT_TRUE(at::equal(logits, model.forward_logits(batch.tokens_BS))) << "looking changes nothing";
  ASSERT_EQ(routing.choices.size(), 1U) << "one layer has experts";
  const at::Tensor& experts_TK = routing.choices[0];
  EXPECT_EQ(experts_TK.sizes(), (at::IntArrayRef{20, 3}));
  EXPECT_TRUE(at::equal(at::bincount(experts_TK.reshape({-1}), {}, 8), routing.tokens.at(0).tokens_E));
  Routing unasked;
  model.forward_logits(batch.tokens_BS, nullptr, &unasked);
  EXPECT_TRUE(unasked.choices.empty());
}

TEST(SelectionBias, AnEvenLoadStays) {
  const spec::ModelSpec spec = grouped_experts();
  Weights weights = toy_weights(spec, at::kFloat);
  const std::string name = "decoder.layers.1.mlp.router.expert_bias";
  const at::Tensor before = weights.at(name).data.clone();
  update_selection_bias(weights, {{name, at::full({8}, 5, at::kLong)}}, 0.01);
  EXPECT_TRUE(at::equal(weights.at(name).data, before));
}

TEST(Buffers, LieOutsideTheFlatBuffersAndCannotTrain) {
  const spec::ModelSpec spec = grouped_experts();
  Weights weights = toy_weights(spec, at::kBFloat16);
  const std::string name = "decoder.layers.1.mlp.router.expert_bias";
  EXPECT_FALSE(weights.at(name).main_grad.defined());
  EXPECT_FALSE(weights.at(name).data.requires_grad());
  EXPECT_THROW(weights.set_frozen(name, false), Error);
  const at::Tensor before = weights.at(name).data.clone();
  weights.flat_data().zero_();
  EXPECT_TRUE(at::equal(weights.at(name).data, before));
}

}  // namespace
}  // namespace rialto::model
