// Every built-in recipe: the model that it spells out has the published model's size, and its layout is legal.
#include "rialto/config/recipes.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/config/rules.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/spelled_model.h"
#include "rialto/spec/param.h"

namespace rialto::resolve {
namespace {

using config::Recipe;
using config::RunConfig;

/// Elements of the published files, scales of coded tensors and tables of frequencies left out.
const std::map<std::string, int64_t>& published_sizes() {
  static const std::map<std::string, int64_t> sizes = {
      {"llama32_1b", 1'235'814'400},
      {"llama32_3b", 3'212'749'824},
      {"llama3_8b", 8'030'261'248},
      {"llama3_70b", 70'553'706'496},
      {"llama31_8b", 8'030'261'248},
      {"llama31_70b", 70'553'706'496},
      {"llama31_405b", 405'853'388'800},
      {"qwen25_500m", 494'032'768},
      {"qwen25_1p5b", 1'543'714'304},
      {"qwen25_3b", 3'085'938'688},
      {"qwen25_7b", 7'615'616'512},
      {"qwen25_14b", 14'770'033'664},
      {"qwen25_32b", 32'763'876'352},
      {"qwen25_72b", 72'706'203'648},
      {"qwen3_600m", 596'049'920},
      {"qwen3_1p7b", 1'720'574'976},
      {"qwen3_4b", 4'022'468'096},
      {"qwen3_8b", 8'190'735'360},
      {"qwen3_14b", 14'768'307'200},
      {"qwen3_32b", 32'762'123'264},
      {"qwen3_30b_a3b", 30'532'122'624},
      {"qwen3_235b_a22b", 235'093'634'560},
      {"deepseek_v2_lite", 15'706'484'224},
      {"gpt_oss_20b", 20'914'757'184},
      {"gpt_oss_120b", 116'829'156'672},
      {"gemma2_2b", 2'614'341'888},
      {"gemma2_9b", 9'241'705'984},
      {"gemma2_27b", 27'227'128'320},
      {"gemma3_1b", 999'885'952},
      {"olmoe_7b", 6'919'161'856},
      {"deepseek_v3", 684'489'845'504},
      {"kimi_k2", 1'026'408'232'448},
      {"glm45_355b", 358'337'791'296},
      {"glm45_air_106b", 110'468'824'832},
      // Its files are as large as 15'960'111'936 elements of bf16; 27 layers keep a table of 32 fp32 frequencies there.
      {"moonlight_16b", 15'960'111'936 - 27 * 32 * 2},
  };
  return sizes;
}

/// What files hold and nobody trains: selection biases, and a prediction block's copies of embedding and head.
int64_t untrained(const spec::ModelSpec& model) {
  auto elements = 2 * static_cast<int64_t>(model.mtp.size()) * model.vocab * model.hidden;
  const auto add = [&elements](const spec::Layer& layer) {
    const auto* moe = std::get_if<spec::MoeFfn>(&layer.ffn);
    if (moe && moe->router.selection_bias) elements += moe->num_experts;
  };
  for (const spec::Layer& layer : model.layers) add(layer);
  for (const spec::MtpBlock& block : model.mtp) add(block.layer);
  return elements;
}

RunConfig ready(const Recipe& recipe) {
  RunConfig config = config::read_run_config(std::string(recipe.name), {"dataset.data_path=x", "checkpoint.save=out"});
  config.world_size = config.recipe.gpus.value_or(1);
  return config;
}

std::string model_name(const Recipe& recipe) { return std::string(recipe.name.substr(0, recipe.name.rfind('_'))); }

TEST(RecipeModels, HaveThePublishedSize) {
  size_t found = 0;
  for (const Recipe& recipe : config::recipes()) {
    const auto size = published_sizes().find(model_name(recipe));
    if (recipe.is_base() || size == published_sizes().end()) continue;
    SCOPED_TRACE(recipe.name);
    const spec::ModelSpec model = model_from_section(ready(recipe).model, {}, DType::kBF16);
    EXPECT_EQ(spec::num_parameters(model) + untrained(model), size->second);
    ++found;
  }
  EXPECT_EQ(found, 2 * published_sizes().size()) << "each has a pretraining and a finetuning recipe";
}

TEST(RecipeModels, AreLegalAtTheirNumberOfProcesses) {
  for (const Recipe& recipe : config::recipes()) {
    if (recipe.is_base()) continue;
    SCOPED_TRACE(recipe.name);
    const RunConfig config = ready(recipe);
    std::optional<spec::ModelSpec> model;
    if (config.model.find("num_layers")) model = model_from_section(config.model, {}, DType::kBF16);
    for (const config::Problem& problem : config::broken_rules(config, model ? &*model : nullptr))
      EXPECT_TRUE(problem.is_limit) << problem.line;
  }
}

/// What a published layout says; null where the source gives a number of GPUs alone.
struct Published {
  const char* recipe;
  int64_t gpus;
  const char* layout;
};

/// Megatron Bridge's recipes on H100, bf16.
constexpr Published kPublished[] = {
    {"llama32_1b_pretrain", 1, ""},
    {"llama32_1b_sft", 1, ""},
    {"llama32_3b_pretrain", 1, ""},
    {"llama32_3b_sft", 1, ""},
    {"llama3_8b_pretrain", 2, "CP2"},
    {"llama3_8b_sft", 2, "TP2"},
    {"llama3_70b_pretrain", 32, "TP4 PP4 VPP5 CP2"},
    {"llama3_70b_sft", 32, "TP8 PP4"},
    {"llama31_8b_pretrain", 2, "CP2"},
    {"llama31_8b_sft", 2, "TP2"},
    {"llama31_70b_pretrain", 32, "TP4 PP4 VPP5 CP2"},
    {"llama31_70b_sft", 32, "TP8 PP4"},
    {"llama31_405b_pretrain", 256, "TP8 PP8 VPP2 CP4"},
    {"llama31_405b_sft", 128, nullptr},
    {"qwen25_500m_pretrain", 1, ""},
    {"qwen25_1p5b_pretrain", 1, ""},
    {"qwen25_7b_pretrain", 2, "TP2"},
    {"qwen25_14b_pretrain", 4, nullptr},
    {"qwen25_32b_pretrain", 16, "TP8 PP2"},
    {"qwen25_72b_pretrain", 32, "TP8 PP4"},
    {"qwen3_600m_pretrain", 1, ""},
    {"qwen3_1p7b_pretrain", 1, ""},
    {"qwen3_4b_pretrain", 2, nullptr},
    {"qwen3_8b_pretrain", 4, "TP4"},
    {"qwen3_14b_pretrain", 8, nullptr},
    {"qwen3_32b_pretrain", 16, "TP8 PP2"},
    {"qwen3_30b_a3b_pretrain", 8, "TP4 PP2 EP4"},
    {"qwen3_30b_a3b_sft", 8, nullptr},
    {"qwen3_235b_a22b_pretrain", 256, "TP4 PP16 CP2 EP8"},
    {"qwen3_235b_a22b_sft", 64, nullptr},
    {"deepseek_v2_lite_pretrain", 8, "EP8"},
    {"deepseek_v3_pretrain", 1024, "TP2 PP16 EP64"},
    {"moonlight_16b_pretrain", 8, "TP2 EP8"},
    {"moonlight_16b_sft", 8, nullptr},
    {"kimi_k2_pretrain", 512, "TP2 PP16 EP32"},
    {"glm45_355b_pretrain", 128, "TP2 PP8 EP16"},
    {"glm45_355b_sft", 128, nullptr},
    {"glm45_air_106b_pretrain", 32, "PP4 EP8"},
    {"glm45_air_106b_sft", 32, nullptr},
    {"gemma2_2b_pretrain", 2, nullptr},
    {"gemma2_9b_pretrain", 8, nullptr},
    {"gemma2_27b_pretrain", 16, nullptr},
    {"gemma3_1b_pretrain", 1, ""},
    {"gpt_oss_20b_pretrain", 16, "TP2 PP4 EP4"},
    {"gpt_oss_20b_sft", 8, nullptr},
    {"gpt_oss_120b_pretrain", 64, nullptr},
    {"gpt_oss_120b_sft", 32, nullptr},
    {"olmoe_7b_pretrain", 8, "EP8"},
    {"olmoe_7b_sft", 8, nullptr},
};

TEST(RecipeModels, HaveThePublishedLayouts) {
  for (const Published& row : kPublished) {
    SCOPED_TRACE(row.recipe);
    const RunConfig config = config::read_run_config(row.recipe, {});
    EXPECT_EQ(config.recipe.gpus, row.gpus);
    if (row.layout) EXPECT_EQ(config::layout_text(config.parallel), row.layout);
  }
}

/// The templates of Megatron Bridge's recipes; a mixture of experts has a batch of its own.
TEST(RecipeModels, HaveThePublishedHyperParameters) {
  size_t pretraining = 0, finetuning = 0;
  for (const Recipe& recipe : config::recipes()) {
    const RunConfig config = ready(recipe);
    if (recipe.is_base() || config.recipe.model.empty()) continue;
    SCOPED_TRACE(recipe.name);
    const auto [train, optimizer] = std::pair(config.train, config.optimizer);
    const bool experts = config.model.find("num_moe_experts") != nullptr;
    const auto batch = std::pair(train.micro_batch_size, train.global_batch_size);
    EXPECT_EQ(config.mixed_precision, "bf16_mixed");
    EXPECT_EQ(config.scheduler.lr_decay_style, "cosine");
    EXPECT_EQ(optimizer.adam_beta1, 0.9);
    if (recipe.name.ends_with("_pretrain")) {
      const bool llama = recipe.name.starts_with("llama");
      const int64_t length = llama ? 8192 : recipe.name.starts_with("gemma3") ? 32768 : 4096;
      EXPECT_EQ(config.model.seq_length(), length);
      if (!experts) EXPECT_EQ(batch, llama ? std::pair(int64_t{1}, int64_t{512}) : std::pair(int64_t{2}, int64_t{32}));
      EXPECT_EQ(train.train_iters, 300'000);
      EXPECT_EQ(config.scheduler.lr_warmup_iters, 500);
      EXPECT_EQ(std::pair(optimizer.lr, optimizer.min_lr), std::pair(3e-4, 3e-5));
      EXPECT_EQ(std::pair(optimizer.adam_beta2, optimizer.weight_decay), std::pair(0.95, 0.033));
      ++pretraining;
    } else {
      EXPECT_EQ(config.model.seq_length(), 2048);
      EXPECT_EQ(batch, std::pair(int64_t{1}, int64_t{128}));
      EXPECT_EQ(train.train_iters, 1000);
      EXPECT_EQ(std::pair(optimizer.lr, optimizer.adam_beta2), std::pair(5e-6, 0.98));
      EXPECT_EQ(config.checkpoint.pretrained_checkpoint, config.recipe.model);
      ++finetuning;
    }
  }
  EXPECT_EQ(pretraining, published_sizes().size());
  EXPECT_EQ(finetuning, published_sizes().size());
}

TEST(RecipeModels, AreNoLongerLegalWithAnOddNumberOfProcesses) {
  for (const Recipe& recipe : config::recipes()) {
    RunConfig config = ready(recipe);
    if (recipe.is_base() || config.parallel.model_ranks() == 1) continue;
    config.world_size += 1;
    std::string lines;
    for (const config::Problem& problem : config::broken_rules(config)) lines += problem.line;
    EXPECT_THAT(lines, testing::HasSubstr("R460")) << recipe.name;
  }
}

}  // namespace
}  // namespace rialto::resolve
