// Toy models, batches, and comparisons with a decoder written in plain ATen operations.
#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <gtest/gtest.h>

#include "plain_model.h"
#include "rialto/base/error.h"
#include "rialto/model/model.h"

namespace rialto::model {

struct ToyOptions {
  int64_t hidden = 48, layers = 2, heads = 6, groups = 2, head_dim = 16, ffn = 40, vocab = 97;
  bool tied = false, qkv_bias = false, qk_norm = false;
  std::optional<int64_t> window = {};
  spec::RopeScaling scaling = {};
};

inline spec::ModelSpec toy_spec(const ToyOptions& o) {
  spec::ModelSpec model;
  model.family = "llama";
  model.hidden = o.hidden;
  model.vocab = o.vocab;
  model.max_positions = 4096;
  model.tied = o.tied;
  model.dtype = DType::kF32;
  const spec::Norm norm{.eps = 1e-5};
  for (int64_t l = 0; l < o.layers; ++l) {
    spec::Attention attention{.num_heads = o.heads,
                              .num_groups = o.groups,
                              .head_dim = o.head_dim,
                              .qkv_bias = o.qkv_bias,
                              .qk_norm = {},
                              .window = o.window,
                              .softmax_scale = 1 / std::sqrt(static_cast<double>(o.head_dim)),
                              .rope = spec::Rope{.base = 10000, .dim = o.head_dim, .scaling = o.scaling}};
    if (o.qk_norm) attention.qk_norm = spec::Norm{.eps = 1e-6};
    model.layers.push_back({norm, attention, norm, spec::DenseFfn{.hidden = o.ffn}});
  }
  model.final_norm = norm;
  return model;
}

inline spec::StageRange whole(const spec::ModelSpec& spec) {
  return {.embedding = true, .head = true, .first = 0, .last = static_cast<int64_t>(spec.layers.size())};
}

/// Weights with random norms and biases too, so that nothing hides behind ones and zeros.
inline Weights toy_weights(const spec::ModelSpec& spec, at::ScalarType type, bool training = true) {
  Weights weights(spec, {}, {}, {.device = at::kCPU, .dtype = type}, training);
  at::manual_seed(42);
  const at::NoGradGuard no_grad;
  for (Weight& weight : weights.all()) {
    const at::Tensor values = at::randn(weight.data.sizes(), at::kFloat) * 0.15;
    weight.data.copy_(weight.param.init == spec::Init::kOnes ? 1 + values : values);
  }
  return weights;
}

inline Batch toy_batch(const spec::ModelSpec& spec, int64_t rows, int64_t tokens, uint64_t seed = 7) {
  at::manual_seed(seed);
  Batch batch;
  batch.tokens_BS = at::randint(spec.vocab, {rows, tokens}, at::kLong);
  batch.labels_BS = at::randint(spec.vocab, {rows, tokens}, at::kLong);
  batch.loss_weights_BS = at::rand({rows, tokens});
  batch.positions_BS = at::arange(tokens, at::kLong).unsqueeze(0).expand({rows, tokens}).contiguous();
  return batch;
}

/// max|a - b| <= tolerance * max(floor, max|b|).
inline void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const std::string& what,
                         double floor = 1.0) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  const at::Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  ASSERT_TRUE(at::isfinite(x).all().item<bool>()) << what;
  EXPECT_LE((x - y).abs().max().item<double>(), tolerance * std::max(floor, y.abs().max().item<double>())) << what;
}

/// Every gradient within `tolerance` of its tensor's largest entry, or of a thousandth of the model's. What the plain
/// model did not use has a gradient of 0.
inline void expect_gradients(const Weights& weights, const PlainModel& plain, double tolerance) {
  double largest = 0;
  for (const auto& [name, leaf] : plain.leaves()) {
    if (leaf.grad().defined()) largest = std::max(largest, leaf.grad().abs().max().item<double>());
  }
  ASSERT_GT(largest, 0);
  for (const Weight& w : weights.all()) {
    if (w.param.buffer) continue;
    const at::Tensor want = plain.leaf(w.param.name).grad();
    expect_close(w.main_grad, want.defined() ? want : at::zeros_like(w.main_grad), tolerance, w.param.name,
                 1e-3 * largest);
  }
}

/// Two stages, cut behind the first layer, compute the loss and the gradients of the whole, bit for bit.
inline void expect_stages_chain(const spec::ModelSpec& spec) {
  Weights weights = toy_weights(spec, at::kFloat), split_weights = toy_weights(spec, at::kFloat);
  const Model model(spec, weights, {}, whole(spec));
  const Model front(spec, split_weights, {}, {.embedding = true, .head = false, .first = 0, .last = 1});
  const Model back(spec, split_weights, {}, {.embedding = false, .head = true, .first = 1, .last = whole(spec).last});
  const Batch batch = toy_batch(spec, 2, 12);
  const AttentionContext context{.positions_BS = batch.positions_BS, .documents_BS = {}, .cache = nullptr};
  const LossSum one = model.forward_loss(batch);
  const LossSum two = back.loss(back.blocks(front.blocks(front.embed(batch.tokens_BS), context), context),
                                batch.labels_BS, batch.loss_weights_BS);
  EXPECT_TRUE(at::equal(one.sum, two.sum));
  backward(one, 0.1);
  backward(two, 0.1);
  EXPECT_TRUE(at::equal(weights.flat_grad(), split_weights.flat_grad()));
  EXPECT_THROW(front.logits(at::zeros({1, 1, spec.hidden})), Error);
  EXPECT_THROW(back.embed(batch.tokens_BS), Error);
}

}  // namespace rialto::model
