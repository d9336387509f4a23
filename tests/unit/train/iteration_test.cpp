// One iteration of a model with experts and multi-token prediction: what is collected, what the objective adds, and
// that both losses fall.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/optim/optimizer.h"
#include "rialto/train/step.h"

namespace rialto::train {
namespace {

constexpr int64_t kVocab = 31, kTokens = 20;

spec::ModelSpec experts_and_prediction() {
  spec::ModelSpec model;
  model.family = "deepseek_v3";
  model.hidden = 24;
  model.vocab = kVocab;
  model.max_positions = 64;
  model.dtype = DType::kF32;
  const spec::Norm norm{.eps = 1e-5};
  const spec::Attention attention{.num_heads = 4,
                                  .num_groups = 2,
                                  .head_dim = 8,
                                  .softmax_scale = 0.35,
                                  .rope = spec::Rope{.base = 10000, .dim = 8}};
  const spec::MoeFfn moe{
      .num_experts = 6,
      .expert_hidden = 16,
      .shared_hidden = 16,
      .router = {.score = spec::RouterScore::kSigmoid, .selection_bias = true, .top_k = 2, .renormalize = true}};
  const spec::Layer block{.mixer_norm = norm, .mixer = attention, .ffn_norm = norm, .ffn = moe};
  for (int layer = 0; layer < 2; ++layer) model.layers.push_back(block);
  model.mtp.push_back({.embedding_norm = norm, .hidden_norm = norm, .final_norm = norm, .layer = block});
  model.final_norm = norm;
  return model;
}

/// Rows that count upwards, so that there is something to learn.
GlobalBatch counting(int64_t micro_batches) {
  GlobalBatch global;
  global.num_micro_batches = static_cast<size_t>(micro_batches);
  for (int64_t m = 0; m < micro_batches; ++m) {
    const at::Tensor numbers =
        at::arange(kTokens + 1, at::kLong).unsqueeze(0) + at::arange(2, at::kLong).unsqueeze(1) * 7;
    const at::Tensor row = at::remainder(numbers * (m + 1), kVocab);
    model::Batch batch;
    batch.tokens_BS = row.narrow(1, 0, kTokens).contiguous();
    batch.labels_BS = row.narrow(1, 1, kTokens).contiguous();
    batch.loss_weights_BS = at::ones({2, kTokens});
    batch.positions_BS = at::arange(kTokens, at::kLong).unsqueeze(0).expand({2, kTokens}).contiguous();
    batch.sample_numbers = {2 * m, 2 * m + 1};
    global.total_weight += 2.0 * static_cast<double>(kTokens);
    global.num_tokens += 2 * kTokens;
    global.micro_batches.push_back(std::move(batch));
  }
  return global;
}

struct Toy {
  spec::ModelSpec spec = experts_and_prediction();
  model::Weights weights{spec, {}, {}, {}, true};
  model::Model model{spec, weights, {}, {.embedding = true, .head = true, .first = 0, .last = 2}};
  explicit Toy(const model::Objective& objective) {
    at::set_num_threads(1);
    weights.init_random(spec, 3);
    model.set_objective(objective);
  }
};

const model::Objective kAll{.moe_aux_loss_coeff = 0.1, .moe_z_loss_coeff = 0.01, .mtp_loss_scaling_factor = 0.3};

TEST(Iteration, CollectsRoutedTokensOfEveryMicroBatchAndLayer) {
  Toy run(kAll);
  const Iteration iteration = run_iteration(run.model, run.weights, counting(3), {});
  ASSERT_EQ(iteration.routed.size(), 3U * 3U) << "two layers and the prediction block, three micro-batches";
  for (const model::RoutedTokens& routed : iteration.routed)
    EXPECT_EQ(routed.tokens_E.sum().item<int64_t>(), 2 * kTokens * 2) << routed.bias;
  EXPECT_EQ(iteration.routed[2].bias, "mtp.layers.0.transformer_layer.mlp.router.expert_bias");
}

TEST(Iteration, GradientsAreThoseOfTheMeanObjective) {
  Toy run(kAll), apart(kAll);
  const GlobalBatch batch = counting(2);
  const Iteration iteration = run_iteration(run.model, run.weights, batch, {});
  double sum = 0;
  for (const model::Batch& micro : batch.micro_batches) {
    const model::LossSum loss = apart.model.forward_loss(micro);
    sum += loss.sum.item<double>();
    ((loss.sum + loss.extra) / batch.total_weight).backward();
  }
  EXPECT_NEAR(iteration.loss, sum / batch.total_weight, 1e-6) << "the reported loss is the next token's";
  const double largest = apart.weights.flat_grad().abs().max().item<double>();
  EXPECT_LE((run.weights.flat_grad() - apart.weights.flat_grad()).abs().max().item<double>(), 1e-6 * largest);
  Toy plain({});
  run_iteration(plain.model, plain.weights, batch, {});
  EXPECT_FALSE(at::allclose(run.weights.flat_grad(), plain.weights.flat_grad(), 1e-3, 1e-6));
}

/// Loss sums of 10 and 30 over 2 and 10 tokens: by micro-batch the objective is 4, by token 10/3.
TEST(GradientScale, IsMegatronsInBothNormalisations) {
  const auto objective = [](bool per_token) {
    return 10 * gradient_scale(per_token, 12, 2, 2) + 30 * gradient_scale(per_token, 12, 10, 2);
  };
  EXPECT_DOUBLE_EQ(objective(true), 40.0 / 12);
  EXPECT_DOUBLE_EQ(objective(false), 4.0);
  EXPECT_EQ(gradient_scale(false, 12, 0, 2), 0.5) << "a micro-batch without tokens counts as one of a single token";
}

/// Two micro-batches of 40 and 5 tokens with a loss.
GlobalBatch unevenly_masked() {
  GlobalBatch batch = counting(2);
  at::Tensor& weights = batch.micro_batches[1].loss_weights_BS;
  weights = at::zeros_like(weights);
  weights.narrow(1, 0, 5).select(0, 0).fill_(1);
  batch.total_weight = 45;
  return batch;
}

TEST(Iteration, GradientsByMicroBatchAreThoseOfTheMeanOfMeans) {
  for (const bool per_token : {true, false}) {
    model::Objective objective = kAll;
    objective.per_token = per_token;
    Toy run(objective), apart(kAll);
    const GlobalBatch batch = unevenly_masked();
    const Iteration iteration = run_iteration(run.model, run.weights, batch, {.per_token = per_token});
    Toy depth({.mtp_loss_scaling_factor = 0.3});
    double sum = 0;
    for (const model::Batch& micro : batch.micro_batches) {
      const model::LossSum loss = apart.model.forward_loss(micro), with_depth = depth.model.forward_loss(micro);
      sum += loss.sum.item<double>();
      const double main = per_token ? 45 : loss.weight * 2;
      const double ahead = per_token ? 45 : with_depth.parts.mtp.at(0).weight * 2;
      ((loss.sum + loss.extra) / main).backward();
      (with_depth.extra * (1 / ahead - 1 / main)).backward();  // apart's has it over main
    }
    EXPECT_NEAR(iteration.loss, sum / 45, 1e-6) << "what is reported is the mean over tokens in either case";
    const at::Tensor want = apart.weights.flat_grad() + depth.weights.flat_grad();
    const double largest = want.abs().max().item<double>();
    EXPECT_LE((run.weights.flat_grad() - want).abs().max().item<double>(), 1e-6 * largest) << per_token;
  }
}

TEST(Iteration, AForwardStepOfAnotherWeightIsRefused) {
  Toy run({});
  const auto forward_step = [](const model::Model& model, const model::Batch& batch) {
    model::LossSum loss = model.forward_loss(batch);
    loss.weight /= 2;
    return loss;
  };
  EXPECT_THROW(run_iteration(run.model, run.weights, counting(2), {.forward_step = forward_step}), Error);
}

TEST(Iteration, AForwardStepWithoutAGradientIsRefused) {
  Toy run({});
  const auto forward_step = [](const model::Model& model, const model::Batch& batch) {
    model::LossSum loss = model.forward_loss(batch);
    loss.sum = loss.sum.detach();
    return loss;
  };
  EXPECT_THROW(run_iteration(run.model, run.weights, counting(2), {.forward_step = forward_step}), Error);
}

TEST(Iteration, ReportsTheMeanLossOfEveryDepth) {
  Toy run({.mtp_loss_scaling_factor = 0.3}), silent({});
  const GlobalBatch batch = counting(2);
  const Iteration iteration = run_iteration(run.model, run.weights, batch, {});
  double sum = 0, weight = 0;
  for (const model::Batch& micro : batch.micro_batches) {
    const model::LossSum loss = run.model.forward_loss(micro);
    ASSERT_EQ(loss.parts.mtp.size(), 1U);
    EXPECT_FLOAT_EQ(loss.extra.item<float>(), 0.3F * loss.parts.mtp[0].sum.item<float>());
    EXPECT_EQ(loss.parts.mtp[0].weight, 2.0 * static_cast<double>(kTokens - 1))
        << "a row's last token has none so far ahead";
    sum += loss.parts.mtp[0].sum.item<double>();
    weight += loss.parts.mtp[0].weight;
  }
  ASSERT_EQ(iteration.extra.mtp.size(), 1U);
  EXPECT_NEAR(iteration.extra.mtp[0], sum / weight, 1e-9);
  EXPECT_TRUE(run_iteration(silent.model, silent.weights, batch, {}).extra.mtp.empty());
}

/// The objective's parts of `iteration`, times their coefficients, are what the micro-batches' `extra` add up to.
TEST(Iteration, ExtraLossesAreThePartsOfTheObjective) {
  const GlobalBatch batch = counting(2);
  const auto extra_of = [&](const model::Objective& objective) {
    Toy run(objective);
    double sum = 0;
    for (const model::Batch& micro : batch.micro_batches)
      sum += run.model.forward_loss(micro).extra.item<double>() / batch.total_weight;
    return std::pair(run_iteration(run.model, run.weights, batch, {}).extra, sum);
  };
  constexpr int kRouters = 2;
  const auto [aux, aux_sum] = extra_of({.moe_aux_loss_coeff = 0.1});
  EXPECT_NEAR(*aux.load_balancing, aux_sum / 0.1 / kRouters, 1e-6);
  EXPECT_GE(*aux.load_balancing, 0.9) << "an even load is 1";
  EXPECT_FALSE(aux.z || !aux.mtp.empty());
  const auto [z, z_sum] = extra_of({.moe_z_loss_coeff = 0.01});
  EXPECT_NEAR(*z.z, z_sum / 0.01 / kRouters, 1e-5);
  EXPECT_FALSE(z.load_balancing || !z.mtp.empty());
  const auto [mtp, mtp_sum] = extra_of({.mtp_loss_scaling_factor = 0.3});
  // One depth: the last token of each row has nothing to predict, so it does not count.
  EXPECT_NEAR(mtp.mtp.at(0), mtp_sum / 0.3 * kTokens / (kTokens - 1), 1e-5);
  EXPECT_NEAR(mtp.mtp.at(0), std::log(kVocab), 0.5) << "of an untrained model";
  EXPECT_FALSE(mtp.load_balancing || mtp.z);
  const ExtraLosses all = extra_of(kAll).first;
  EXPECT_TRUE(all.load_balancing && all.z && all.mtp.size() == 1);
  const ExtraLosses none = [&] {
    Toy run({});
    return run_iteration(run.model, run.weights, batch, {}).extra;
  }();
  EXPECT_FALSE(none.load_balancing || none.z || !none.mtp.empty());
}

TEST(Iteration, BothLossesFall) {
  Toy run(kAll);
  optim::Optimizer adam(run.weights, {});
  const GlobalBatch batch = counting(2);
  const auto losses = [&] {
    const model::LossSum loss = run.model.forward_loss(batch.micro_batches[0]);
    return std::pair(loss.sum.item<double>() / loss.weight, loss.extra.item<double>() / loss.weight);
  };
  const auto before = losses();
  for (int step = 0; step < 60; ++step) {
    const Iteration iteration =
        run_iteration(run.model, run.weights, batch,
                      {.step = [&](double) { adam.step({.lr = 1e-2, .decoupled_lr = 1e-2, .weight_decay = 0.1}, 1); }});
    model::update_selection_bias(run.weights, iteration.routed, 1e-3);
  }
  const auto after = losses();
  EXPECT_LT(after.first, before.first * 0.2);
  EXPECT_LT(after.second, before.second * 0.4);
}

TEST(Iteration, SelectionBiasEvensTheLoad) {
  Toy run({});
  const GlobalBatch batch = counting(1);
  run.weights.at("decoder.layers.0.mlp.router.expert_bias").data.copy_(at::arange(6) * 0.1);  // two experts take all
  const auto spread = [&](double rate) {
    const Iteration iteration = run_iteration(run.model, run.weights, batch, {});
    model::update_selection_bias(run.weights, iteration.routed, rate);
    return (iteration.routed[0].tokens_E.max() - iteration.routed[0].tokens_E.min()).item<int64_t>();
  };
  ASSERT_GE(spread(0), 35);
  for (int step = 0; step < 300; ++step) spread(2e-3);
  EXPECT_LE(spread(0), 10);
}

}  // namespace
}  // namespace rialto::train
