// Hydra's grammar, and what wins over what.
#include "rialto/config/overrides.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::config {
namespace {

using testing::AllOf;
using testing::HasSubstr;

RunConfig with(const std::vector<std::string>& overrides) {
  ConfigSources sources;
  sources.base = "quickstart";
  sources.overrides = overrides;
  return read_run_config(sources);
}

std::string message(const std::vector<std::string>& overrides, ErrorKind kind = ErrorKind::kConfig) {
  try {
    with(overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(OverridesTest, AssignmentNeedsAKnownKey) {
  EXPECT_EQ(with({"train.train_iters=3"}).train.train_iters, 3);
  EXPECT_THAT(message({"train.train_itres=3"}), AllOf(HasSubstr("[train.train_itres=3]"), HasSubstr("'train_iters'?")));
  EXPECT_THAT(message({"trian.train_iters=3"}), HasSubstr("'train'?"));
  EXPECT_THAT(message({"++train.nope=3"}), HasSubstr("unknown key 'nope'"));
}

TEST(OverridesTest, ValuesAreTyped) {
  EXPECT_EQ(with({"optimizer.lr=1e-5"}).optimizer.lr, 1e-5);
  EXPECT_EQ(with({"validation.eval_interval=null"}).validation.eval_interval, std::nullopt);
  EXPECT_TRUE(with({"dataset.eod_mask_loss=true"}).dataset.eod_mask_loss);
  EXPECT_THAT(with({"dataset.data_path=[a, 'b c']"}).dataset.data_path, testing::ElementsAre("a", "b c"));
  EXPECT_EQ(with({"checkpoint.save=\"true\""}).checkpoint.save, "true");
  EXPECT_EQ(with({"checkpoint.save='it''s'"}).checkpoint.save, "it's");
  EXPECT_EQ(with({"validation={eval_iters: 3}"}).validation.eval_iters, 3);
  EXPECT_THAT(message({"train.train_iters=\"3\""}), HasSubstr("train.train_iters"));
  EXPECT_THAT(message({"dataset.eod_mask_loss=1"}), HasSubstr("true or false"));
}

TEST(OverridesTest, SecondNamesAreUnsetToo) {
  EXPECT_EQ(with({"train.eval_interval=7"}).validation.eval_interval, 7);
  for (const char* unset : {"~train.eval_interval", "train.eval_interval=null", "~validation.eval_interval"})
    EXPECT_EQ(with({unset}).validation.eval_interval, std::nullopt) << unset;
  EXPECT_EQ(with({"dataset.seq_length=9", "dataset.sequence_length=null"}).dataset.seq_length, std::nullopt);
  EXPECT_TRUE(with({"dataset.data_path=x", "~dataset.blend"}).dataset.data_path.empty());
}

TEST(OverridesTest, SecondNamesCountInAnyOrder) {
  for (const char* section :
       {"dataset={blend: [[a/b], null], data_path: null}", "dataset={data_path: null, blend: [[a/b], null]}",
        "dataset={blend: {_target_: builtins.tuple, _args_: [[[a/b], null]]}}"})
    EXPECT_THAT(with({section}).dataset.data_path, testing::ElementsAre("a/b")) << section;
}

TEST(OverridesTest, PlusAddsWhereNothingIs) {
  EXPECT_EQ(with({"+train.exit_interval=5"}).train.exit_interval, 5);
  EXPECT_THAT(message({"+train.train_iters=5"}),
              AllOf(HasSubstr("is there already"), HasSubstr("got 700"), HasSubstr("++train.train_iters")));
  EXPECT_EQ(with({"++train.train_iters=5"}).train.train_iters, 5);
  EXPECT_THAT(with({"+dataset.data_path=[x]"}).dataset.data_path, testing::ElementsAre("x"));
  EXPECT_THAT(message({"validation={eval_itres: 3}"}), HasSubstr("[validation={eval_itres: 3}]"));
  EXPECT_EQ(with({"++train.exit_interval=5"}).train.exit_interval, 5);
  EXPECT_EQ(with({"+validation={eval_iters: 3}"}).validation.eval_iters, 3);
}

TEST(OverridesTest, TildeTakesBackToTheDefault) {
  EXPECT_EQ(with({"~validation.eval_interval"}).validation.eval_interval, std::nullopt);
  EXPECT_EQ(with({"~optimizer.lr"}).optimizer.lr, OptimizerSection{}.lr);
  const RunConfig config = with({"~scheduler"});
  EXPECT_EQ(config.scheduler.lr_decay_style, SchedulerSection{}.lr_decay_style);
  EXPECT_EQ(config.train.train_iters, 700);
  EXPECT_EQ(with({"~train.train_iters=700"}).train.train_iters, TrainSection{}.train_iters);
  EXPECT_THAT(message({"~train.train_iters=7"}), AllOf(HasSubstr("another value"), HasSubstr("want 700")));
  EXPECT_THAT(message({"~train.nope"}), HasSubstr("unknown key 'nope'"));
  EXPECT_EQ(message({"~mixed_precision"}), "accepted");
}

TEST(OverridesTest, MistakesOfGrammar) {
  EXPECT_THAT(message({"train.train_iters"}, ErrorKind::kUsage), HasSubstr("section.key=value"));
  EXPECT_THAT(message({"=3"}, ErrorKind::kUsage), HasSubstr("section.key=value"));
  EXPECT_THAT(message({"+train.exit_interval"}, ErrorKind::kUsage), HasSubstr("section.key=value"));
  EXPECT_THAT(message({"~train={}"}, ErrorKind::kUsage), HasSubstr("without a value"));
  EXPECT_THAT(message({"mixed_precision.bf16=true"}), HasSubstr("'mixed_precision' is one key"));
  EXPECT_THAT(message({"train=3"}), HasSubstr("not a map"));
}

TEST(OverridesTest, LaterLayersWin) {
  const auto path = std::filesystem::temp_directory_path() / ("rialto_layers_" + std::to_string(getpid()) + ".yaml");
  std::ofstream(path) << "train: {train_iters: 10, global_batch_size: 20}\noptimizer: {lr: 0.5, min_lr: 0.25}\n";
  ConfigSources sources{
      "quickstart", {path.string()}, {"train.global_batch_size=24", "optimizer.lr=0.75"}, {"optimizer.lr=1"}};
  const RunConfig config = read_run_config(sources);
  std::filesystem::remove(path);
  EXPECT_EQ(config.train.micro_batch_size, 4) << "from the recipe";
  EXPECT_EQ(config.train.train_iters, 10) << "the file wins over the recipe";
  EXPECT_EQ(config.train.global_batch_size, 24) << "--set wins over the file";
  EXPECT_EQ(config.optimizer.lr, 1) << "the override wins over --set";
  EXPECT_EQ(config.optimizer.min_lr, 0.25);
}

TEST(OverridesTest, EveryMistakeIsCollected) {
  std::vector<Problem> problems;
  ConfigSources sources{"quickstart", {}, {"train.nope=1", "optimizer.lr=fast"}, {"train={micro_batch_size: x, y: 1}"}};
  read_run_config(sources, &problems);
  EXPECT_EQ(problems.size(), 3u);  // a section's override stops at its first
  EXPECT_THAT(problems.at(0).line, HasSubstr("nope"));
  EXPECT_EQ(problems.at(1).key, "optimizer.lr");
}

}  // namespace
}  // namespace rialto::config
