// The Functions of a mixture of experts, each alone: gradients, experts without tokens, frozen experts, sinks, the save
// hook.
#include "rialto/model/ffn/experts.h"

#include "leaves.h"
#include "rialto/base/error.h"
#include "toy.h"
#include "variants.h"

namespace rialto::model {
namespace {

struct Products {
  std::vector<Weight> weights, biases;
  std::vector<Linear> layers;
  Products(int64_t experts, int64_t in, int64_t out, bool biased) {
    for (int64_t e = 0; e < experts; ++e) {
      weights.push_back(loose(at::randn({out, in}, at::kDouble), e == 3));
      biases.push_back(loose(at::randn({out}, at::kDouble)));
    }
    for (size_t e = 0; e < weights.size(); ++e)
      layers.push_back({.weight = &weights[e], .bias = biased ? &biases[e] : nullptr});
  }
};

TEST(GroupedLinear, GradientsEqualAutogradAndEmptyExpertsGetNone) {
  at::manual_seed(1);
  for (const bool biased : {false, true}) {
    const Products products(4, 5, 3, biased);
    const std::vector<int64_t> offsets{0, 4, 4, 9, 11};  // expert 1 has no tokens, 3 is frozen
    const at::Tensor x = leaf({11, 5}), x2 = twin(x), g = at::randn({11, 3}, at::kDouble);
    std::vector<at::Tensor> w2, b2, parts;
    for (size_t e = 0; e < 4; ++e) {
      w2.push_back(twin(products.weights[e].data));
      b2.push_back(twin(products.biases[e].data));
      const at::Tensor part = x2.narrow(0, offsets[e], offsets[e + 1] - offsets[e]);
      parts.push_back(at::linear(part, w2[e], biased ? b2[e] : at::Tensor()));
    }
    DeferredSink sink;
    const at::Tensor y = grouped_linear({.save = nullptr, .sink = &sink}, x, offsets, products.layers);
    expect_close(y, at::cat(parts), 1e-12, "y");
    y.backward(g);
    at::cat(parts).backward(g);
    expect_close(x.grad(), x2.grad(), 1e-12, "dx");
    EXPECT_EQ(products.weights[0].main_grad.abs().max().item<double>(), 0) << "held back";
    sink.run();
    for (size_t e = 0; e < 4; ++e) {
      const bool used = e != 1 && e != 3;
      expect_close(products.weights[e].main_grad, used ? w2[e].grad() : at::zeros({3, 5}), 1e-12, "dw");
      if (biased) expect_close(products.biases[e].main_grad, e == 1 ? at::zeros({3}) : b2[e].grad(), 1e-12, "db");
    }
  }
}

TEST(Combine, GradientsEqualAutograd) {
  at::manual_seed(2);
  const at::Tensor experts = std::get<1>(at::rand({7, 4}).topk(2));
  const kernels::ExpertOrder order = kernels::sort_by_expert(experts, 4);
  const at::Tensor x = leaf({7, 5}), w = leaf({7, 2}), x2 = twin(x), w2 = twin(w), g = at::randn({7, 5}, at::kDouble);
  combine({}, dispatch({}, x, order).square(), w, order).backward(g);
  (x2.square() * w2.sum(-1, true)).backward(g);
  expect_close(x.grad(), x2.grad(), 1e-12, "dx");
  expect_close(w.grad(), w2.grad(), 1e-12, "dweights");
}

TEST(GateRows, GradientsEqualAutograd) {
  at::manual_seed(3);
  const at::Tensor y = leaf({6, 4}), gate = leaf({6, 1}), y2 = twin(y), gate2 = twin(gate);
  const at::Tensor g = at::randn({6, 4}, at::kDouble);
  gate_rows({}, y, gate).backward(g);
  (at::sigmoid(gate2) * y2).backward(g);
  expect_close(y.grad(), y2.grad(), 1e-12, "dy");
  expect_close(gate.grad(), gate2.grad(), 1e-12, "dgate");
}

TEST(Experts, WithoutTokensGetZeroGradient) {
  const spec::ModelSpec spec = sqrt_softplus_experts();
  Weights weights = toy_weights(spec, at::kFloat);
  const std::string p = "decoder.layers.1.mlp.";
  {
    const at::NoGradGuard no_grad;
    weights.at(p + "router.expert_bias").data[2] = -100;
  }
  backward(Model(spec, weights, {}, whole(spec)).forward_loss(toy_batch(spec, 2, 20)), 0.1);
  const auto largest = [&](const char* name) { return weights.at(p + name).main_grad.abs().max().item<float>(); };
  EXPECT_EQ(largest("experts.linear_fc1.weight2"), 0);
  EXPECT_EQ(largest("experts.linear_fc2.weight2"), 0);
  EXPECT_GT(largest("experts.linear_fc1.weight3"), 0);
  EXPECT_GT(largest("router.weight"), 0);
}

TEST(Experts, KeepThroughTheHook) {
  class Names final : public SaveHook {
   public:
    std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) override {
      class Copy final : public Kept {
       public:
        explicit Copy(at::Tensor t) : copy_(std::move(t)) {}
        at::Tensor take() override { return copy_; }

       private:
        at::Tensor copy_;
      };
      names.emplace_back(name);
      return std::make_unique<Copy>(tensor.clone());
    }
    std::vector<std::string> names;
  } hook;
  const spec::ModelSpec spec = gated_shared();
  Weights weights = toy_weights(spec, at::kFloat);
  const comm::Mesh alone;
  const auto block = make_moe_ffn(std::get<spec::MoeFfn>(spec.layers[0].ffn), {weights, alone, "decoder.layers.0."});
  const at::Tensor x = at::randn({5, spec.hidden}), y = block->forward({.save = &hook, .sink = nullptr}, x, nullptr);
  y.sum().backward();
  const std::vector<std::string> want = {
      "router.input",         "router.logits", "router.experts",  "grouped_linear.input", "activation.input",
      "grouped_linear.input", "combine.rows",  "combine.weights", "linear.input",         "activation.input",
      "linear.input",         "linear.input",  "gate.rows",       "gate.logits"};
  EXPECT_EQ(hook.names, want);
}

TEST(Router, NumbersThatDoNotFitAreRefused) {
  const auto refused = [](int64_t experts, const spec::Router& router) {
    spec::ModelSpec spec = with_experts({.num_experts = experts, .expert_hidden = 4, .router = router});
    Weights weights = toy_weights(spec, at::kFloat, false);
    try {
      const Model model(spec, weights, {}, whole(spec));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kConfig;
    }
    return false;
  };
  EXPECT_TRUE(refused(6, {.top_k = 7}));
  EXPECT_TRUE(refused(6, {.top_k = 0}));
  EXPECT_TRUE(refused(6, {.top_k = 2, .num_groups = 4}));
  EXPECT_TRUE(refused(6, {.top_k = 2, .num_groups = 3, .top_groups = 4}));
  EXPECT_TRUE(refused(6, {.top_k = 3, .num_groups = 3, .top_groups = 1}));
  EXPECT_FALSE(refused(6, {.top_k = 2, .num_groups = 3, .top_groups = 1}));
}

}  // namespace
}  // namespace rialto::model
