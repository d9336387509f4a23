// Toy models, batches and a decoder written in plain ATen operations, to hold the model's Functions against.
#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <gtest/gtest.h>

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

/// The decoder in plain recorded operations. Weights are looked up by name in `leaves`, which also collect gradients.
class PlainModel {
 public:
  PlainModel(const spec::ModelSpec& spec, const Weights& weights, at::ScalarType type = at::kDouble) : spec_(spec) {
    for (const Weight& w : weights.all())
      leaves_[w.param.name] = w.data.detach().to(type).clone().set_requires_grad(true);
  }
  at::Tensor logits(const Batch& batch) const {
    at::Tensor x = at::embedding(leaf("embedding.word_embeddings.weight"), batch.tokens_BS);
    for (size_t l = 0; l < spec_.layers.size(); ++l)
      x = layer(x, spec_.layers[l], "decoder.layers." + std::to_string(l) + ".", batch);
    x = norm(x, "decoder.final_layernorm.weight", spec_.final_norm.eps);
    return at::linear(x, leaf(spec_.tied ? "embedding.word_embeddings.weight" : "output_layer.weight"));
  }
  at::Tensor loss(const Batch& batch) const {
    const at::Tensor lp = at::log_softmax(logits(batch), -1);
    return -(lp.gather(-1, batch.labels_BS.unsqueeze(-1)).squeeze(-1) * batch.loss_weights_BS.to(lp.scalar_type()))
                .sum();
  }
  const at::Tensor& leaf(const std::string& name) const { return leaves_.at(name); }
  const std::map<std::string, at::Tensor>& leaves() const { return leaves_; }

 private:
  at::Tensor norm(const at::Tensor& x, const std::string& name, double eps) const {
    return x * at::rsqrt(x.square().mean(-1, true) + eps) * leaf(name);
  }
  static at::Tensor rope(const at::Tensor& x_BSND, const spec::Rope& rope, const at::Tensor& positions) {
    at::Tensor inverse =
        1.0 / at::pow(at::Scalar(rope.base), at::arange(0, rope.dim, 2, at::kDouble) / static_cast<double>(rope.dim));
    if (const auto* linear = std::get_if<spec::LinearScaling>(&rope.scaling)) inverse = inverse / linear->factor;
    const at::Tensor angles = (positions.unsqueeze(-1).to(at::kDouble) * inverse).unsqueeze(2);
    const at::Tensor a = x_BSND.narrow(-1, 0, rope.dim / 2), b = x_BSND.narrow(-1, rope.dim / 2, rope.dim / 2);
    const at::Tensor cos = angles.cos().to(x_BSND.scalar_type()), sin = angles.sin().to(x_BSND.scalar_type());
    return at::cat({a * cos - b * sin, b * cos + a * sin}, -1);
  }
  at::Tensor layer(const at::Tensor& x, const spec::Layer& spec, const std::string& p, const Batch& batch) const {
    const auto& a = std::get<spec::Attention>(spec.mixer);
    const int64_t rows = x.size(0), tokens = x.size(1), per_group = a.num_heads / a.num_groups;
    const at::Tensor n = norm(x, p + "self_attention.linear_qkv.layer_norm_weight", spec.mixer_norm->eps);
    at::Tensor qkv = at::linear(n, leaf(p + "self_attention.linear_qkv.weight"));
    if (a.qkv_bias) qkv = qkv + leaf(p + "self_attention.linear_qkv.bias");
    qkv = qkv.view({rows, tokens, a.num_groups, per_group + 2, a.head_dim});
    at::Tensor q = qkv.narrow(3, 0, per_group).reshape({rows, tokens, a.num_heads, a.head_dim});
    at::Tensor k = qkv.select(3, per_group), v = qkv.select(3, per_group + 1);
    if (a.qk_norm) {
      q = norm(q, p + "self_attention.q_layernorm.weight", a.qk_norm->eps);
      k = norm(k, p + "self_attention.k_layernorm.weight", a.qk_norm->eps);
    }
    q = rope(q, *a.rope, batch.positions_BS);
    k = rope(k, *a.rope, batch.positions_BS).repeat_interleave(per_group, 2);
    v = v.repeat_interleave(per_group, 2);
    const at::Tensor i = at::arange(tokens).unsqueeze(1), j = at::arange(tokens).unsqueeze(0);
    at::Tensor seen = at::logical_and(j <= i, j > i - a.window.value_or(tokens)).unsqueeze(0);
    if (batch.documents_BS.defined()) {
      seen = at::logical_and(seen, batch.documents_BS.unsqueeze(2) == batch.documents_BS.unsqueeze(1));
    }
    at::Tensor scores = at::matmul(q.transpose(1, 2), k.transpose(1, 2).transpose(2, 3)) * a.softmax_scale;
    scores = scores.masked_fill(at::logical_not(seen).unsqueeze(1), -std::numeric_limits<double>::infinity());
    const at::Tensor mixed =
        at::matmul(at::softmax(scores, -1), v.transpose(1, 2)).transpose(1, 2).reshape({rows, tokens, -1});
    const at::Tensor mid = x + at::linear(mixed, leaf(p + "self_attention.linear_proj.weight"));
    const at::Tensor h = at::linear(norm(mid, p + "mlp.linear_fc1.layer_norm_weight", spec.ffn_norm->eps),
                                    leaf(p + "mlp.linear_fc1.weight"));
    const auto parts = h.chunk(2, -1);
    return mid + at::linear(at::silu(parts[0]) * parts[1], leaf(p + "mlp.linear_fc2.weight"));
  }

  spec::ModelSpec spec_;
  std::map<std::string, at::Tensor> leaves_;
};

/// max|a - b| <= tolerance * max(floor, max|b|).
inline void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const std::string& what,
                         double floor = 1.0) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  const at::Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  ASSERT_TRUE(at::isfinite(x).all().item<bool>()) << what;
  EXPECT_LE((x - y).abs().max().item<double>(), tolerance * std::max(floor, y.abs().max().item<double>())) << what;
}

/// Every gradient within `tolerance` of its tensor's largest entry, or of a thousandth of the model's.
inline void expect_gradients(const Weights& weights, const PlainModel& plain, double tolerance) {
  double largest = 0;
  for (const auto& [name, leaf] : plain.leaves()) largest = std::max(largest, leaf.grad().abs().max().item<double>());
  ASSERT_GT(largest, 0);
  for (const Weight& w : weights.all()) {
    expect_close(w.main_grad, plain.leaf(w.param.name).grad(), tolerance, w.param.name, 1e-3 * largest);
  }
}

}  // namespace rialto::model
