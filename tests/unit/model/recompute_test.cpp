// Recompute and offload: not one bit of loss and gradients changes, and less is kept.
#include "rialto/model/recompute.h"

#include <map>

#include <fmt/format.h>

#include "leaves.h"
#include "memory_toys.h"
#include "rialto/model/functions.h"
#include "rialto/model/host_memory.h"

namespace rialto::model {
namespace {

/// Counts the memory of what stays, each piece once. Holds it, so that no address is given out twice.
class Counting final : public SaveHook {
 public:
  std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) override {
    if (pieces_.try_emplace(tensor.storage().data(), tensor).second) {
      bytes += static_cast<int64_t>(tensor.nbytes());
      ++pieces[std::string(name)];
    }
    ++names[std::string(name)];
    return nullptr;
  }
  int64_t bytes = 0;
  std::map<std::string, int> names, pieces;  ///< how often each was kept; pieces by the name that brought them

 private:
  std::map<const void*, at::Tensor> pieces_;
};

struct Mode {
  std::string name, toy;
  MemoryPlan plan;
};
std::vector<Mode> modes() {
  using enum Module;
  std::vector<Mode> all;
  for (const std::string toy : {"dense", "experts", "shared", "latent"}) {
    const bool experts = toy == "experts" || toy == "shared";
    const auto add = [&](std::string name, MemoryPlan plan) { all.push_back({std::move(name), toy, std::move(plan)}); };
    for (const int64_t group : {1, 2, 3}) add(fmt::format("uniform{}", group), {.uniform_layers = group});
    add("block", {.block_layers = 2});
    add("core_attn", {.recompute = {kCoreAttn}});
    add("layernorm", {.recompute = {kLayernorm}});
    if (!experts) add("mlp", {.recompute = {kMlp}});
    if (experts) add("moe", {.recompute = {kMoe}});
    if (experts) add("moe_act", {.recompute = {kMoeAct}});
    if (toy == "shared") add("shared_experts", {.recompute = {kSharedExperts}});
    if (toy == "latent") add("mla_up_proj", {.recompute = {kMlaUpProj}});
    add("selected_together", {.recompute = {kCoreAttn, kLayernorm, kMlp, kMoeAct, kSharedExperts, kMlaUpProj}});
    add("host_layers", {.host_layers = 2});
    add("host_modules",
        {.host = {kAttnNorm, kQkvLinear, kCoreAttn, kAttnProj, kMlpNorm, kExpertFc1, kMoeAct}, .min_host_elements = 1});
    add("full_and_host", {.uniform_layers = 1, .host = {kNone}});
    add("selected_and_host", {.recompute = {kCoreAttn, kMoeAct, kMlaUpProj, kLayernorm}, .host = {kCoreAttn, kMoeAct}});
  }
  return all;
}

class EveryMode : public testing::TestWithParam<Mode> {};

TEST_P(EveryMode, ChangesNoBitAndKeepsLess) {
  const Mode& mode = GetParam();
  const spec::ModelSpec spec = memory_toy(mode.toy);
  Counting plain_bytes, bytes;
  const StepResult plain = run_step(spec, {}, {.save = &plain_bytes}),
                   got = run_step(spec, mode.plan, {.save = &bytes});
  EXPECT_TRUE(at::equal(plain.loss, got.loss)) << plain.loss.item<double>() << " " << got.loss.item<double>();
  EXPECT_TRUE(at::equal(plain.extra, got.extra));
  EXPECT_TRUE(at::equal(plain.gradients, got.gradients))
      << (plain.gradients - got.gradients).abs().max().item<double>();
  EXPECT_GT(plain.gradients.abs().max().item<double>(), 0);
  ASSERT_EQ(plain.routed.size(), got.routed.size()) << "a layer reports once";
  for (size_t i = 0; i < got.routed.size(); ++i)
    EXPECT_TRUE(at::equal(plain.routed[i].tokens_E, got.routed[i].tokens_E));
  EXPECT_LT(bytes.bytes, plain_bytes.bytes);
}

INSTANTIATE_TEST_SUITE_P(Modes, EveryMode, testing::ValuesIn(modes()),
                         [](const auto& mode) { return mode.param.toy + "_" + mode.param.name; });

TEST(Recompute, KeepsOneTensorOfAGroup) {
  const spec::ModelSpec spec = toy_spec({.layers = 4});
  Counting hook;
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  model.set_memory({.uniform_layers = 2});
  model.set_recorder({.save = &hook});
  backward(model.forward_loss(toy_batch(spec, 2, 10)), 1);
  const std::map<std::string, int> want = {{"embedding.tokens", 1}, {"recompute.input", 2}, {"norm.sum", 1},
                                           {"norm.rstd", 1},        {"loss.input_grad", 1}, {"loss.weight_grad", 1}};
  EXPECT_EQ(hook.names, want) << "the second runs ask no hook";
}

TEST(Recompute, RunsAgainOnceAndOnlyForGradients) {
  const Weight w = loose(at::randn({4, 4}));
  int runs = 0, replays = 0;
  const Body body = [&](const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
    ++runs;
    replays += r.replaying ? 1 : 0;
    return {linear(r, activate(r, linear(r, in[0], {.weight = &w}), {.gated = false}), {.weight = &w})};
  };
  const at::Tensor x = leaf({3, 4}, at::kFloat);
  recompute({}, {x}, body)[0].sum().backward();
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(replays, 1);
  const at::NoGradGuard no_grad;
  recompute({}, {x}, body);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(replays, 1);
}

TEST(Recompute, RefusesAPartThatRunsDifferently) {
  const Weight w = loose(at::randn({4, 4}));
  const Body body = [&](const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
    const at::Tensor y = linear(r, in[0], {.weight = &w});
    return {r.replaying ? linear(r, y, {.weight = &w}) : y};
  };
  const at::Tensor y = recompute({}, {leaf({3, 4}, at::kFloat)}, body)[0];
  EXPECT_THROW(y.sum().backward(), Error);
}

TEST(Recompute, ChoicesAreMadeOnce) {
  const Weight w = loose(at::randn({4, 4}));
  int made = 0;
  std::vector<int64_t> seen;
  const Body body = [&](const Recorder& r, const std::vector<at::Tensor>& in) -> std::vector<at::Tensor> {
    for (int i = 0; i < 2; ++i)
      seen.push_back(r.decide([&] { return at::scalar_tensor(++made, at::kLong); }).item<int64_t>());
    return {linear(r, in[0], {.weight = &w})};
  };
  recompute({}, {leaf({3, 4}, at::kFloat)}, body)[0].sum().backward();
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 1, 2}));
}

TEST(Remade, ALayerKeepsNoNormedTensorAndNoActivation) {
  const spec::ModelSpec spec = toy_spec({.layers = 2});
  Counting hook;
  Weights weights = toy_weights(spec, at::kFloat);
  Model model(spec, weights, {}, whole(spec));
  model.set_recorder({.save = &hook});
  model.forward_loss(toy_batch(spec, 2, 10));
  EXPECT_EQ(hook.names["linear.input"], 8);
  EXPECT_EQ(hook.pieces["linear.input"], 0) << "norm.sum, attention.out and activation.input are all there is";
}

TEST(Remade, GivesTheBitsOfTheFirstRun) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const spec::NormKind kind : {spec::NormKind::kRms, spec::NormKind::kLayer}) {
      const at::Tensor x = at::randn({7, 21}).to(type), delta = at::randn({7, 21}).to(type), dy = at::randn({7, 5});
      const Weight gain = loose(at::randn({21}).to(type)), w = loose(at::randn({5, 21}).to(type));
      const Norm norm{.weight = &gain, .bias = nullptr, .spec = {.eps = 1e-5, .kind = kind}};
      const MemoryPlan plan;
      std::vector<at::Tensor> gradients;
      for (const MemoryPlan* active : {static_cast<const MemoryPlan*>(nullptr), &plan}) {
        Counting hook;
        const Recorder recorder{.save = &hook, .plan = active};
        w.main_grad.zero_();
        gain.main_grad.zero_();
        const NormOutput out = add_norm(recorder, x, delta, norm);
        const Remade remade(recorder, out.y, out.sum, [&](const at::Tensor& sum) { return norm_of(sum, norm); });
        linear(remade.recorder(), out.y, {.weight = &w}).backward(dy.to(type));
        gradients.push_back(at::cat({w.main_grad.flatten(), gain.main_grad.flatten()}));
        EXPECT_EQ(hook.pieces["linear.input"], active ? 0 : 1);
      }
      EXPECT_TRUE(at::equal(gradients[0], gradients[1]));
      EXPECT_GT(gradients[0].abs().max().item<double>(), 0);
    }
  }
}

TEST(HostMemory, GivesBackACopy) {
  const at::Tensor x = at::randn({3, 5}).transpose(0, 1);
  const auto kept = keep_on_host(x);
  const at::Tensor before = x.clone();
  x.zero_();
  EXPECT_TRUE(at::equal(kept->take(), before));
}

}  // namespace
}  // namespace rialto::model
