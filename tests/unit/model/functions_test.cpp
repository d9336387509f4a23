// Each Function alone: gradients against recorded plain operations, frozen weights, sinks, adapters, the save hook.
#include "rialto/model/functions.h"

#include "rialto/model/attention/functions.h"
#include "rialto/model/pass.h"
#include "toy.h"

namespace rialto::model {
namespace {

/// A weight outside any model.
Weight loose(const at::Tensor& values, bool frozen = false) {
  Weight weight;
  weight.param.name = "w";
  weight.data = values.clone().set_requires_grad(!frozen);
  weight.main_grad = at::zeros(values.sizes(), values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  weight.frozen = frozen;
  return weight;
}
at::Tensor leaf(at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
  return at::randn(shape, at::kDouble).to(type).set_requires_grad(true);
}
at::Tensor twin(const at::Tensor& x) { return x.detach().clone().set_requires_grad(true); }

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

TEST(Heads, GradientsEqualAutograd) {
  at::manual_seed(6);
  const int64_t tokens = 5, groups = 2, queries = 3, dim = 4;
  const at::Tensor angles = at::randn({tokens, dim / 2});
  const kernels::RopeTable rope{angles.cos(), angles.sin()};
  const at::Tensor x = leaf({tokens, groups * (queries + 2) * dim}), x2 = twin(x);
  const kernels::Heads fast = split_heads({}, x, groups, dim, rope),
                       plain = kernels::ref::split_heads(x2, groups, dim, rope, at::kDouble);
  const at::Tensor gq = at::randn(fast.q_TND.sizes(), at::kDouble), gk = at::randn(fast.k_TGD.sizes(), at::kDouble);
  ((fast.q_TND * gq).sum() + (fast.k_TGD * gk).sum() + fast.v_TGD.square().sum()).backward();
  ((plain.q_TND * gq).sum() + (plain.k_TGD * gk).sum() + plain.v_TGD.square().sum()).backward();
  expect_close(x.grad(), x2.grad(), 1e-12, "dqkv");
  const at::Tensor h = leaf({tokens, 3, dim}), h2 = twin(h);
  (rotate({}, h, rope) * gq.narrow(1, 0, 3)).sum().backward();
  (kernels::ref::rotate(h2, rope, false) * gq.narrow(1, 0, 3)).sum().backward();
  expect_close(h.grad(), h2.grad(), 1e-12, "rotate");
}

TEST(Attention, GradientsEqualAutograd) {
  at::manual_seed(7);
  const at::Tensor q = leaf({2, 9, 4, 8}), k = leaf({2, 9, 2, 8}), v = leaf({2, 9, 2, 8});
  const at::Tensor q2 = twin(q), k2 = twin(k), v2 = twin(v), g = at::randn({18, 32}, at::kDouble);
  const auto range = key_range(2, 9, {}, 4, at::kCPU);
  attention({}, q, k, v, range, 0.4).backward(g);
  const at::Tensor i = at::arange(9).unsqueeze(1), j = at::arange(9).unsqueeze(0);
  const at::Tensor hidden = at::logical_not(at::logical_and(j <= i, j > i - 4));
  const at::Tensor kk = k2.repeat_interleave(2, 2).transpose(1, 2), vv = v2.repeat_interleave(2, 2).transpose(1, 2);
  const at::Tensor s = (at::matmul(q2.transpose(1, 2), kk.transpose(2, 3)) * 0.4).masked_fill(hidden, -1e300);
  at::matmul(at::softmax(s, -1), vv).transpose(1, 2).reshape({18, 32}).backward(g);
  expect_close(q.grad(), q2.grad(), 1e-11, "dq");
  expect_close(k.grad(), k2.grad(), 1e-11, "dk");
  expect_close(v.grad(), v2.grad(), 1e-11, "dv");
}

TEST(SwiGlu, GradientsEqualAutograd) {
  at::manual_seed(8);
  const at::Tensor x = leaf({6, 10}), x2 = twin(x), g = at::randn({6, 5}, at::kDouble);
  swiglu({}, x).backward(g);
  const auto parts = x2.chunk(2, -1);
  (at::silu(parts[0]) * parts[1]).backward(g);
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

TEST(LinearCrossEntropy, GradientsEqualAutogradOverSeveralChunks) {
  at::manual_seed(10);
  const int64_t tokens = 150, vocab = 40000;  // chunks of 64 rows
  const Weight w = loose(at::randn({vocab, 4}, at::kDouble));
  const at::Tensor x = leaf({tokens, 4}), x2 = twin(x), w2 = twin(w.data);
  const at::Tensor labels = at::randint(vocab, {tokens}, at::kLong), weights = at::rand({tokens}, at::kDouble);
  const at::Tensor loss = linear_cross_entropy({}, x, w, labels, weights);
  const at::Tensor lp = at::log_softmax(at::linear(x2, w2), -1).gather(1, labels.unsqueeze(1)).squeeze(1);
  const at::Tensor loss2 = -(lp * weights).sum();
  expect_close(loss, loss2, 1e-10, "loss");
  loss.backward(at::scalar_tensor(0.25, at::kDouble));
  loss2.backward(at::scalar_tensor(0.25, at::kDouble));
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
                                       key_range(1, 6, {}, {}, at::kCPU), 1);
    const at::Tensor y = linear(recorder, at::cat({mixed, mixed}, 1), {.weight = &fc1});
    linear_cross_entropy(recorder, swiglu(recorder, y), head, labels, at::ones({6})).backward();
    std::vector<at::Tensor> grads;
    for (const Weight* weight : {&w, &norm, &fc1, &head, &table}) grads.push_back(weight->main_grad.clone());
    return grads;
  };
  const auto plain = run({});
  CopyingHook hook;
  const auto hooked = run({.save = &hook, .sink = nullptr});
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::equal(plain[i], hooked[i])) << i;
  const std::vector<std::string> want = {"embedding.tokens", "norm.sum",     "norm.rstd",    "linear.input",
                                         "attention.q",      "attention.k",  "attention.v",  "attention.out",
                                         "attention.lse",    "linear.input", "swiglu.input", "loss.input_grad",
                                         "loss.weight_grad"};
  EXPECT_EQ(hook.names, want);
  EXPECT_EQ(hook.taken, hook.kept);
}

}  // namespace
}  // namespace rialto::model
