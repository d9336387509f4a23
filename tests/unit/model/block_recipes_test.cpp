// FP8 in the blocks: which layers run it, and that a second forward pass of a micro-batch gives the same bits.
#include "rialto/model/block_recipes.h"

#include <set>

#include "toy.h"
#include "variants.h"

namespace rialto::model {
namespace {

constexpr auto kDelayed = kernels::GemmScaling::kDelayed, kCurrent = kernels::GemmScaling::kCurrent;

std::set<std::string> names(BlockRecipes& recipes) {
  std::set<std::string> out;
  for (const auto& [name, scale] : recipes.delayed()) out.insert(name);
  return out;
}

TEST(BlockRecipes, LinearLayersOfBlocksAloneRunFp8) {
  const spec::ModelSpec dense = toy_spec({.layers = 1, .qkv_bias = true, .qk_norm = true});
  Weights weights = toy_weights(dense, at::kFloat);
  BlockRecipes recipes({.scaling = kDelayed}, 1, at::kCPU);
  const Model model(dense, weights, {}, whole(dense), &recipes);
  const std::string at = "decoder.layers.0.";
  EXPECT_EQ(names(recipes),
            (std::set<std::string>{at + "mlp.linear_fc1.weight", at + "mlp.linear_fc2.weight",
                                   at + "self_attention.linear_proj.weight", at + "self_attention.linear_qkv.weight"}));

  const spec::ModelSpec moe = with_experts({.num_experts = 3, .expert_hidden = 8, .router = {.top_k = 2}});
  Weights expert_weights = toy_weights(moe, at::kFloat);
  BlockRecipes expert_recipes({.scaling = kDelayed}, static_cast<int64_t>(moe.layers.size()), at::kCPU);
  const Model experts(moe, expert_weights, {}, whole(moe), &expert_recipes);
  for (const std::string& name : names(expert_recipes)) EXPECT_EQ(name.find("router"), name.npos) << name;
  for (const char* name : {"mlp.experts.linear_fc1.weight2", "mlp.experts.linear_fc2.weight0"})
    EXPECT_TRUE(expert_recipes.delayed().contains(at + name)) << name;
}

TEST(BlockRecipes, LayersAtTheEndsStayWideAndPredictionBlocksNeverDo) {
  BlockRecipes recipes({.scaling = kCurrent, .first_wide = 1, .last_wide = 2}, 5, at::kCPU);
  for (const auto& [layer, fp8] : {std::pair{0, false}, {1, true}, {2, true}, {3, false}, {4, false}})
    EXPECT_EQ(recipes.of("w", layer).is_fp8(), fp8) << layer;
  EXPECT_TRUE(recipes.of("w", std::nullopt).is_fp8());
  EXPECT_TRUE(recipes.delayed().empty());
}

TEST(BlockRecipes, ASecondForwardGivesTheSameBitsAndEvaluationLeavesNoTrace) {
  const spec::ModelSpec spec = toy_spec({});
  Weights weights = toy_weights(spec, at::kBFloat16);
  BlockRecipes recipes({.scaling = kDelayed, .delayed = {.history_len = 4}}, 2, at::kCPU);
  const Model model(spec, weights, {}, whole(spec), &recipes);
  const Batch first = toy_batch(spec, 2, 12), second = toy_batch(spec, 2, 12, 8);
  const auto evaluate = [&](const Batch& batch) {
    const at::NoGradGuard no_grad;
    return model.forward_loss(batch).sum.item<float>();
  };
  const auto histories = [&] {
    std::vector<at::Tensor> rows;
    for (auto& [name, scale] : recipes.delayed()) rows.push_back(scale.history().clone());
    return at::stack(rows);
  };
  backward(model.forward_loss(first), 1);
  recipes.advance({});

  // Within a step: forward of one micro-batch, another's, and the first again, as recomputing does.
  weights.zero_grad();
  const LossSum once = model.forward_loss(first);
  backward(once, 1);
  const at::Tensor gradient = weights.flat_grad().clone();
  model.forward_loss(second);
  weights.zero_grad();
  const LossSum again = model.forward_loss(first);
  backward(again, 1);
  EXPECT_TRUE(at::equal(once.sum, again.sum));
  EXPECT_TRUE(at::equal(gradient, weights.flat_grad()));

  recipes.advance({});
  const at::Tensor before = histories();
  EXPECT_TRUE((before.narrow(1, 0, 2) > 0).all().item<bool>());
  const float loss = evaluate(second);
  EXPECT_EQ(evaluate(second), loss);
  recipes.advance({});
  EXPECT_TRUE(at::equal(histories().select(1, 0), at::zeros_like(before.select(1, 0)))) << "evaluation was seen";
}

}  // namespace
}  // namespace rialto::model
