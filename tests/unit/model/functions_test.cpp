// Each Function alone: gradients against recorded plain operations, frozen weights, sinks, adapters, the save hook.
#include "rialto/model/functions.h"

#include "leaves.h"
#include "rialto/model/attention/functions.h"
#include "rialto/model/pass.h"
#include "toy.h"

namespace rialto::model {
namespace {

/// Counts what is kept, and gives back a copy: what offload would do.
class CopyingHook final : public SaveHook {
 public:
  std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) override {
    ++kept;
    names.emplace_back(name);
    class Copy final : public Kept {
     public:
      Copy(const at::Tensor& t, int& taken) : copy_(t.clone()), taken_(taken) {}
      at::Tensor take() override {
        ++taken_;
        return std::exchange(copy_, {}).clone();
      }

     private:
      at::Tensor copy_;
      int& taken_;
    };
    return std::make_unique<Copy>(tensor, taken);
  }
  int kept = 0, taken = 0;
  std::vector<std::string> names;
};

TEST(Linear, GradientsEqualAutograd) {
  at::manual_seed(1);
  const Weight w = loose(at::randn({5, 7}, at::kDouble)), b = loose(at::randn({5}, at::kDouble));
  const at::Tensor x = leaf({11, 7}), x2 = twin(x), w2 = twin(w.data), b2 = twin(b.data),
                   g = at::randn({11, 5}, at::kDouble);
  const at::Tensor y = linear({}, x, {.weight = &w, .bias = &b}), y2 = at::linear(x2, w2, b2);
  expect_close(y, y2, 1e-12, "y");
  y.backward(g);
  y2.backward(g);
  expect_close(x.grad(), x2.grad(), 1e-12, "dx");
  expect_close(w.main_grad, w2.grad(), 1e-12, "dw");
  expect_close(b.main_grad, b2.grad(), 1e-12, "db");
  EXPECT_FALSE(w.data.grad().defined()) << "the gradient is in main_grad and nowhere else";
  linear({}, twin(x), {.weight = &w, .bias = &b}).backward(g);
  expect_close(w.main_grad, 2 * w2.grad(), 1e-12, "a second pass adds");
}

TEST(Linear, FrozenWeightGetsNothingAndInputStillDoes) {
  at::manual_seed(2);
  const Weight w = loose(at::randn({5, 7}, at::kDouble), true);
  const at::Tensor x = leaf({3, 7});
  struct Refuse final : GradSink {
    void weight_gradient(std::function<void()>) override { ADD_FAILURE() << "a frozen weight asked for a gradient"; }
  } sink;
  linear({.save = nullptr, .sink = &sink}, x, {.weight = &w}).sum().backward();
  expect_close(x.grad(), w.data.sum(0).expand({3, 7}), 1e-12, "dx");
  EXPECT_EQ(w.main_grad.abs().max().item<double>(), 0);
  EXPECT_FALSE(linear({}, x.detach(), {.weight = &w}).requires_grad());
}

TEST(Linear, DeferredSinkGivesTheSameBits) {
  at::manual_seed(3);
  const at::Tensor values = at::randn({5, 7}), x = at::randn({11, 7}), g = at::randn({11, 5});
  const Weight now = loose(values), later = loose(values);
  linear({}, twin(x), {.weight = &now}).backward(g);
  DeferredSink sink;
  linear({.save = nullptr, .sink = &sink}, twin(x), {.weight = &later}).backward(g);
  EXPECT_EQ(later.main_grad.abs().max().item<float>(), 0) << "held back";
  EXPECT_EQ(sink.pending(), 1U);
  sink.run();
  EXPECT_EQ(sink.pending(), 0U);
  EXPECT_TRUE(at::equal(now.main_grad, later.main_grad));
}

TEST(Linear, AdapterAddsToAFrozenBase) {
  at::manual_seed(4);
  const Weight w = loose(at::randn({5, 7}, at::kDouble), true);
  const Weight down = loose(at::randn({2, 7}, at::kDouble)), up = loose(at::randn({5, 2}, at::kDouble));
  struct Lora final : Adapter {
    const Weight *a, *b;
    at::Tensor delta(const Recorder& r, const at::Tensor& x) const override {
      return linear(r, linear(r, x, {.weight = a}), {.weight = b}) * 0.5;
    }
  } lora;
  lora.a = &down;
  lora.b = &up;
  const at::Tensor x = at::randn({3, 7}, at::kDouble), a2 = twin(down.data), b2 = twin(up.data);
  const at::Tensor y = linear({}, x, {.weight = &w, .bias = nullptr, .recipe = {}, .adapter = &lora});
  const at::Tensor y2 = at::linear(x, w.data) + at::linear(at::linear(x, a2), b2) * 0.5;
  expect_close(y, y2, 1e-12, "y");
  y.sum().backward();
  y2.sum().backward();
  expect_close(down.main_grad, a2.grad(), 1e-12, "A");
  expect_close(up.main_grad, b2.grad(), 1e-12, "B");
}

TEST(AddNorm, GradientsEqualAutograd) {
  at::manual_seed(5);
  for (const bool with_delta : {false, true}) {
    const Weight w = loose(at::randn({6}, at::kDouble));
    const at::Tensor x = leaf({4, 6}), d = leaf({4, 6}), x2 = twin(x), d2 = twin(d), w2 = twin(w.data);
    const NormOutput out = add_norm({}, x, with_delta ? d : at::Tensor(), w, 1e-5);
    const at::Tensor s2 = with_delta ? x2 + d2 : x2, y2 = s2 * at::rsqrt(s2.square().mean(-1, true) + 1e-5) * w2;
    expect_close(out.y, y2, 1e-12, "y");
    (out.y.square().sum() + (out.sum * 3).sum()).backward();
    (y2.square().sum() + (s2 * 3).sum()).backward();
    expect_close(x.grad(), x2.grad(), 1e-11, "dx");
    if (with_delta) expect_close(d.grad(), d2.grad(), 1e-11, "ddelta");
    expect_close(w.main_grad, w2.grad(), 1e-11, "dw");
  }
}

TEST(AddNorm, OneOutputUnused) {
  const Weight w = loose(at::randn({6}, at::kDouble));
  const at::Tensor x = leaf({4, 6}), d = leaf({4, 6});
  add_norm({}, x, d, w, 1e-5).sum.sum().backward();
  expect_close(x.grad(), at::ones({4, 6}), 1e-12, "only the residual path");
}

TEST(Activate, GradientsEqualAutograd) {
  at::manual_seed(8);
  const at::Tensor x = leaf({6, 10}), x2 = twin(x), g = at::randn({6, 5}, at::kDouble);
  activate({}, x, {.kind = kernels::ActivationKind::kGeluTanh}).backward(g);
  const auto parts = x2.chunk(2, -1);
  (at::gelu(parts[0], "tanh") * parts[1]).backward(g);
  expect_close(x.grad(), x2.grad(), 1e-12, "dx");
}

TEST(Embedding, GradientGoesToMainGrad) {
  at::manual_seed(9);
  const Weight table = loose(at::randn({6, 3}, at::kDouble));
  const at::Tensor ids = at::tensor({int64_t{1}, int64_t{4}, int64_t{1}}), t2 = twin(table.data),
                   g = at::randn({3, 3}, at::kDouble);
  embedding({}, ids, table).backward(g);
  at::embedding(t2, ids).backward(g);
  expect_close(table.main_grad, t2.grad(), 1e-12, "dtable");
}

TEST(Embedding, ScaleIsRoundedToTheWeightsType) {
  at::manual_seed(12);
  const double scale = std::sqrt(48.0);
  const at::Tensor ids = at::tensor({int64_t{1}, int64_t{4}, int64_t{1}}), values = at::randn({6, 3});
  for (const auto type : {at::kDouble, at::kBFloat16}) {
    const Weight table = loose(values.to(type));
    const at::Tensor rounded = at::scalar_tensor(scale, type), t2 = twin(table.data);
    const at::Tensor y = embedding({}, ids, table, scale), y2 = at::embedding(t2, ids) * rounded;
    EXPECT_TRUE(at::equal(y, y2)) << type;
    y.backward(at::ones_like(y));
    const double times = rounded.item<double>();
    expect_close(table.main_grad[1], at::full({3}, 2 * times), 1e-6, "a token twice");
    expect_close(table.main_grad[4], at::full({3}, times), 1e-6, "a token once");
    EXPECT_EQ(table.main_grad[0].abs().max().item<double>(), 0);
  }
}

TEST(LinearCrossEntropy, GradientsEqualAutogradOverSeveralChunks) {
  at::manual_seed(10);
  const int64_t tokens = 150, vocab = 40000;  // chunks of 64 rows
  const Weight w = loose(at::randn({vocab, 4}, at::kDouble));
  const at::Tensor x = leaf({tokens, 4}), x2 = twin(x), w2 = twin(w.data);
  const at::Tensor labels = at::randint(vocab, {tokens}, at::kLong), weights = at::rand({tokens}, at::kDouble);
  const at::Tensor loss = linear_cross_entropy({}, x, {.weight = &w}, labels, weights);
  const at::Tensor lp = at::log_softmax(at::linear(x2, w2), -1).gather(1, labels.unsqueeze(1)).squeeze(1);
  const at::Tensor loss2 = -(lp * weights).sum();
  expect_close(loss, loss2, 1e-10, "loss");
  loss.backward(at::scalar_tensor(0.25, at::kDouble));
  loss2.backward(at::scalar_tensor(0.25, at::kDouble));
  expect_close(x.grad(), x2.grad(), 1e-10, "dx");
  expect_close(w.main_grad, w2.grad(), 1e-10, "dw");
}

TEST(LinearCrossEntropy, CapsLogits) {
  at::manual_seed(13);
  const Weight w = loose(at::randn({50, 4}, at::kDouble) * 5);
  const at::Tensor x = leaf({9, 4}), x2 = twin(x), w2 = twin(w.data);
  const at::Tensor labels = at::randint(50, {9}, at::kLong), weights = at::rand({9}, at::kDouble);
  const Head head{.weight = &w, .softcap = 3.0};
  const at::Tensor loss = linear_cross_entropy({}, x, head, labels, weights);
  const at::Tensor logits = at::tanh(at::linear(x2, w2) / 3) * 3;
  expect_close(head_logits(x, head), logits, 1e-12, "logits");
  const at::Tensor loss2 = -(at::log_softmax(logits, -1).gather(1, labels.unsqueeze(1)).squeeze(1) * weights).sum();
  expect_close(loss, loss2, 1e-10, "loss");
  loss.backward();
  loss2.backward();
  expect_close(x.grad(), x2.grad(), 1e-10, "dx");
  expect_close(w.main_grad, w2.grad(), 1e-10, "dw");
}

TEST(SaveHookSeam, EveryFunctionKeepsThroughIt) {
  at::manual_seed(11);
  const Weight w = loose(at::randn({8, 8})), norm = loose(at::randn({8})), fc1 = loose(at::randn({8, 8})),
               head = loose(at::randn({13, 4}));
  const Weight table = loose(at::randn({13, 8}));
  const at::Tensor ids = at::randint(13, {6}, at::kLong), labels = at::randint(13, {6}, at::kLong);
  const auto run = [&](const Recorder& recorder) {
    for (const Weight* weight : {&w, &norm, &fc1, &head, &table}) weight->main_grad.zero_();
    const at::Tensor x = embedding(recorder, ids, table);
    const NormOutput n = add_norm(recorder, x, {}, norm, 1e-5);
    const at::Tensor qkv = linear(recorder, n.y, {.weight = &w});  // one group, two queries of size 2
    const auto heads = split_heads(recorder, qkv, 1, 2, {});
    const auto rows = [](const at::Tensor& t) { return t.unsqueeze(0); };
    const at::Tensor mixed = attention(recorder, rows(heads.q_TND), rows(heads.k_TGD), rows(heads.v_TGD),
                                       key_range(1, 6, {}, {}, at::kCPU), {.scale = 1});
    const at::Tensor y = linear(recorder, at::cat({mixed, mixed}, 1), {.weight = &fc1});
    linear_cross_entropy(recorder, activate(recorder, y, {}), {.weight = &head}, labels, at::ones({6})).backward();
    std::vector<at::Tensor> grads;
    for (const Weight* weight : {&w, &norm, &fc1, &head, &table}) grads.push_back(weight->main_grad.clone());
    return grads;
  };
  const auto plain = run({});
  CopyingHook hook;
  const auto hooked = run({.save = &hook, .sink = nullptr});
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::equal(plain[i], hooked[i])) << i;
  const std::vector<std::string> want = {"embedding.tokens", "norm.sum",     "norm.rstd",        "linear.input",
                                         "attention.q",      "attention.k",  "attention.v",      "attention.out",
                                         "attention.lse",    "linear.input", "activation.input", "loss.input_grad",
                                         "loss.weight_grad"};
  EXPECT_EQ(hook.names, want);
  EXPECT_EQ(hook.taken, hook.kept);
}

}  // namespace
}  // namespace rialto::model
