// `defaults`: bases first, each once; circles and unknown names are refused; names of Megatron Bridge.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/config/recipes.h"
#include "rialto/config/run_config.h"

namespace rialto::config {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class InheritTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "deeper");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  static std::string complaint(const std::string& path) {
    try {
      read_run_config(path, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / "rialto_inherit_test";
};

TEST_F(InheritTest, AFileWinsOverItsBasesAndLaterBasesOverEarlierOnes) {
  write("a.yaml", "train: {micro_batch_size: 2, global_batch_size: 4, train_iters: 10}\n");
  write("deeper/b.yaml", "defaults: ../a.yaml\ntrain: {global_batch_size: 8}\n");
  write("c.yaml", "train: {train_iters: 30}\n");
  const RunConfig config =
      read_run_config(write("d.yaml", "defaults: [deeper/b.yaml, c.yaml, ]\ntrain: {exit_interval: 5}\n"), {});
  EXPECT_EQ(config.train.micro_batch_size, 2);
  EXPECT_EQ(config.train.global_batch_size, 8);
  EXPECT_EQ(config.train.train_iters, 30);
  EXPECT_EQ(config.train.exit_interval, 5);
}

TEST_F(InheritTest, ABaseOfTwoIsReadOnce) {
  write("top.yaml", "train: {train_iters: 10}\n");
  write("a.yaml", "defaults: [top.yaml]\ntrain: {train_iters: 20}\n");
  write("b.yaml", "defaults: [top.yaml]\ntrain: {micro_batch_size: 3}\n");
  const RunConfig config = read_run_config(write("c.yaml", "defaults: [a.yaml, b.yaml]\n"), {});
  EXPECT_EQ(config.train.train_iters, 20) << "the base of both undid what the first said";
  EXPECT_EQ(config.train.micro_batch_size, 3);
}

TEST_F(InheritTest, AFileMayStandOnARecipe) {
  const RunConfig config = read_run_config(write("mine.yaml", "defaults: [quickstart]\noptimizer: {lr: 1.0}\n"), {});
  EXPECT_EQ(config.train.train_iters, 700);
  EXPECT_EQ(config.optimizer.lr, 1.0);
}

TEST_F(InheritTest, CirclesAndUnknownBasesAreNamed) {
  write("a.yaml", "defaults: [b.yaml]\n");
  write("b.yaml", "defaults: [a.yaml]\n");
  EXPECT_THAT(complaint((folder_ / "a.yaml").string()), AllOf(HasSubstr("circle"), HasSubstr("b.yaml -> ")));
  EXPECT_THAT(complaint(write("self.yaml", "defaults: self.yaml\n")), HasSubstr("circle"));
  EXPECT_THAT(complaint(write("c.yaml", "train: {}\ndefaults: [quickstat]\n")),
              AllOf(HasSubstr("c.yaml:2"), HasSubstr("'quickstart'?")));
  EXPECT_THAT(complaint(write("d.yaml", "defaults: {a: 1}\n")), HasSubstr("d.yaml:1"));
}

TEST(RecipeNames, ThoseOfMegatronBridgeAreKnown) {
  const auto name_of = [](std::string_view name) {
    const auto recipe = find_recipe(name);
    return recipe ? std::string(recipe->name) : "none";
  };
  EXPECT_EQ(name_of("llama32_1b_pretrain_config"), "llama32_1b_pretrain");
  EXPECT_EQ(name_of("qwen3_8b_finetune_config"), "qwen3_8b_sft");
  EXPECT_EQ(name_of("qwen3_8b_sft_config"), "qwen3_8b_sft");
  EXPECT_EQ(name_of("llama3_70b_pretrain_32gpu_h100_bf16_config"), "llama3_70b_pretrain");
  EXPECT_EQ(name_of("llama3_70b_pretrain_64gpu_h100_bf16_config"), "none") << "another layout";
  EXPECT_EQ(name_of("qwen3_8b_finetune"), "none");
  EXPECT_EQ(name_of("_config"), "none");
  EXPECT_EQ(name_of("gpu_h100_bf16_config"), "none");
}

}  // namespace
}  // namespace rialto::config
