// The loop's order: lengths, ramp-up, iterations passed over, evaluation, reasons to stop, events; step lines as
// written transcripts.
#include <ATen/TensorOperators.h>

#include <cmath>
#include <fstream>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "toy_run.h"

namespace rialto::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LoopTest : public testing::Test, protected ToyRun {
 protected:
  /// No warm-up, no evaluation, few iterations.
  config::RunConfig plain(const std::string& run, int64_t iterations) const {
    config::RunConfig config = ToyRun::config(run);
    config.train.train_iters = iterations;
    config.scheduler.lr_warmup_iters = 0;
    config.scheduler.lr_decay_iters = 100;
    config.validation.eval_interval.reset();
    config.logger.log_interval = 1;
    return config;
  }

  /// What a run prints, without what changes from run to run.
  std::string transcript(const config::RunConfig& config, Hooks hooks = {}) {
    std::string text;
    hooks.print = [&](std::string_view line) { text += std::string(line) + "\n"; };
    result_ = train(config, hooks);
    const auto mask = [&text](const char* pattern, const char* with) {
      text = std::regex_replace(text, std::regex(pattern), with);
    };
    mask("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "TIME");
    mask("(iteration \\(ms\\)|TFLOP/s/GPU\\)): [0-9.infa]+", "$1: T");
    mask("(lm loss|grad norm): [0-9.E+-]+", "$1: X");
    mask(" throughput per GPU .* learning rate", " learning rate");
    return text;
  }

  std::vector<std::pair<int64_t, int64_t>> batches(const std::string& run) const {
    std::vector<std::pair<int64_t, int64_t>> out;
    for (const Json& record : records(run))
      if (record["kind"] == "train") out.emplace_back(record["iteration"], record["global batch size"]);
    return out;
  }

  std::vector<std::string> checkpoints(const std::string& run) const {
    std::vector<std::string> out;
    for (const int64_t iteration : store::list_iterations(folder_ / run)) out.push_back(std::to_string(iteration));
    return out;
  }

  Result result_;
};

TEST_F(LoopTest, RampUpWritesThisTranscript) {
  config::RunConfig config = plain("ramp", 6);
  config.train.global_batch_size = 6;
  config.train.rampup_batch_size = {2, 2, 8};
  config.scheduler.lr_warmup_iters = 4;  // 24 samples
  EXPECT_EQ(
      transcript(config),
      " [TIME] iteration        1/       6 | consumed samples:            2 | elapsed time per iteration (ms): T | "
      "learning rate: 8.333333E-04 | global batch size:     2 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n"
      " [TIME] iteration        2/       6 | consumed samples:            4 | elapsed time per iteration (ms): T | "
      "learning rate: 1.666667E-03 | global batch size:     2 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n"
      " [TIME] iteration        3/       6 | consumed samples:            8 | elapsed time per iteration (ms): T | "
      "learning rate: 3.333333E-03 | global batch size:     4 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n"
      " [TIME] iteration        4/       6 | consumed samples:           14 | elapsed time per iteration (ms): T | "
      "learning rate: 5.833333E-03 | global batch size:     6 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n"
      " [TIME] iteration        5/       6 | consumed samples:           20 | elapsed time per iteration (ms): T | "
      "learning rate: 8.333333E-03 | global batch size:     6 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n"
      " [TIME] iteration        6/       6 | consumed samples:           26 | elapsed time per iteration (ms): T | "
      "learning rate: 9.999732E-03 | global batch size:     6 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n");
  EXPECT_THAT(checkpoints("ramp"), ElementsAre("2", "3", "6")) << "one at each change, one at the end";
}

TEST_F(LoopTest, ARampUpResumesBitForBit) {
  config::RunConfig config = plain("straight", 6);
  config.train.global_batch_size = 6;
  config.train.rampup_batch_size = {2, 2, 8};
  train(config, {});
  config.checkpoint.save = config.checkpoint.load = (folder_ / "parts").string();
  config.train.exit_interval = 3;
  EXPECT_EQ(train(config, {}).end, End::kExitInterval);
  EXPECT_EQ(train(config, {}).iteration, 6);
  EXPECT_EQ(records("parts"), records("straight"));
  EXPECT_EQ(state("parts", 6), state("straight", 6));
}

TEST_F(LoopTest, ABatchIsRoundedDownToMicroBatches) {
  config::RunConfig config = plain("rounded", 3);
  config.train.global_batch_size = 5;
  config.train.decrease_batch_size_if_needed = true;
  train(config, {});
  EXPECT_THAT(batches("rounded"), ElementsAre(std::pair(1, 4), std::pair(2, 4), std::pair(3, 4)));
  EXPECT_EQ(records("rounded").back()["consumed samples"], 12);
  EXPECT_EQ(records("rounded").back()["skipped samples"], 3);
}

TEST_F(LoopTest, SkippedIterationsWriteThisTranscript) {
  config::RunConfig config = plain("skips", 4);
  config.train.iterations_to_skip = {1, 2};  // counted from 0: the second and the third
  config.scheduler.lr_warmup_iters = 10;
  EXPECT_EQ(
      transcript(config),
      " [TIME] iteration        1/       4 | consumed samples:            4 | elapsed time per iteration (ms): T | "
      "learning rate: 1.000000E-03 | global batch size:     4 | lm loss: X | loss scale: 1.0 | grad norm: X | number "
      "of skipped iterations:   0 | number of nan iterations:   0 |\n"
      " [TIME] iteration        4/       4 | consumed samples:           16 | skipped samples:            8 | elapsed "
      "time per iteration (ms): T | learning rate: 2.000000E-03 | global batch size:     4 | lm loss: X | loss scale: "
      "1.0 | grad norm: X | number of skipped iterations:   0 | number of nan iterations:   0 |\n");
  const auto written = records("skips");
  ASSERT_EQ(written.size(), 4u);
  EXPECT_EQ(written[1]["kind"], "left out");
  EXPECT_EQ(written[2]["skipped samples"], 8);
  EXPECT_DOUBLE_EQ(written[3]["learning rate"].get<double>(), 1e-3) << "the schedule counts what was trained";
}

TEST_F(LoopTest, SkippedIterationsResumeBitForBit) {
  config::RunConfig config = plain("straight", 6);
  config.train.iterations_to_skip = {1, 4};
  config.scheduler.lr_warmup_iters = 10;
  train(config, {});
  config.checkpoint.save = config.checkpoint.load = (folder_ / "parts").string();
  config.train.exit_interval = 2;  // right behind a skipped one
  while (train(config, {}).end != End::kFinished) {
  }
  EXPECT_EQ(records("parts"), records("straight"));
  EXPECT_EQ(state("parts", 6), state("straight", 6));
}

TEST_F(LoopTest, LengthsInSamplesAndEpochs) {
  config::RunConfig config = plain("samples", 0);
  config.train.train_samples = 15;
  EXPECT_EQ(train(config, {}).iteration, 3) << "whole batches of 4";

  config = plain("epochs", 0);
  config.train.num_epochs = 0.05;
  config.train.global_batch_size = 8;
  config.dataset.seq_length = 24;
  // 600 documents of 17 to 39 tokens: about 16,800 / 24 = 700 samples, 88 batches of 8.
  const int64_t iterations = train(config, {}).iteration;
  EXPECT_GE(iterations, 4);
  EXPECT_LE(iterations, 5);
}

TEST_F(LoopTest, EvaluationHasItsOwnBatchAndStart) {
  config::RunConfig config = plain("eval", 6);
  config.validation.eval_interval = 2;
  config.validation.start_eval_at_iter = 4;
  config.validation.eval_iters = 2;
  config.validation.eval_global_batch_size = 3;
  config.validation.eval_micro_batch_size = 1;
  train(config, {});
  std::vector<int64_t> at;
  for (const Json& record : records("eval")) {
    if (record["kind"] != "validation") continue;
    at.push_back(record["iteration"]);
    EXPECT_EQ(record["tokens"], 2 * 3 * 24);
  }
  EXPECT_THAT(at, ElementsAre(4, 6));

  config.checkpoint.save = config.checkpoint.load = (folder_ / "none").string();
  config.validation.eval_iters = 0;
  EXPECT_FALSE(train(config, {}).last_eval_loss);

  config.checkpoint.save = config.checkpoint.load = (folder_ / "full").string();
  config.validation.full_validation = true;
  train(config, {});
  EXPECT_GT(records("full").back()["tokens"], 60 * 24) << "80 documents of 17 to 39 tokens";
}

TEST_F(LoopTest, TheTestSetIsEvaluatedAtTheEnd) {
  config::RunConfig config = plain("test", 2);
  config.validation.eval_interval = 10;
  config.dataset.valid_data_path.clear();
  config.dataset.split = "8,1,1";
  const std::string text = transcript(config);
  EXPECT_THAT(text, HasSubstr(" validation loss at iteration 2 on validation set | lm loss value: "));
  EXPECT_THAT(text, HasSubstr(" validation loss at iteration 2 on test set | lm loss value: "));
  EXPECT_EQ(records("test").back()["kind"], "test");
  EXPECT_EQ(records("test").back()["lm loss"], result_.test_loss.value());
  EXPECT_NE(result_.test_loss, result_.last_eval_loss);
}

TEST_F(LoopTest, PartsOfTheDataHaveFilesOfTheirOwn) {
  config::RunConfig config = plain("parts", 2);
  config.validation.eval_interval = 10;
  config.dataset.data_path = {"3", (folder_ / "train").string(), "1", (folder_ / "valid").string()};
  config.dataset.test_data_path = config.dataset.valid_data_path;
  train(config, {});
  const std::vector<Json> blended = records("parts");
  EXPECT_EQ(blended.back()["kind"], "test");
  EXPECT_EQ(blended.back()["lm loss"], blended.at(blended.size() - 2)["lm loss"]) << "the same samples";

  config.checkpoint.save = config.checkpoint.load = (folder_ / "plain").string();
  config.dataset.data_path = {(folder_ / "train").string()};
  config.dataset.test_data_path.clear();
  train(config, {});
  EXPECT_EQ(records("plain").back()["kind"], "validation") << "no test set was named";
  EXPECT_NE(records("plain").at(1)["lm loss"], blended.at(1)["lm loss"]) << "the first iteration";
}

TEST_F(LoopTest, ABlendByWeightHasNoEpochs) {
  config::RunConfig config = plain("weights", 0);
  config.train.num_epochs = 1;
  config.dataset.data_path = {"3", (folder_ / "train").string(), "1", (folder_ / "valid").string()};
  EXPECT_THAT(failure(config, ErrorKind::kConfig), HasSubstr("a blend by weight has no epochs"));
}

TEST_F(LoopTest, SkipTrainOnlyEvaluates) {
  config::RunConfig config = plain("run", 4);
  config.validation.eval_interval = 4;
  const double trained = train(config, {}).last_eval_loss.value();
  config.train.skip_train = true;
  const Result again = train(config, {});
  EXPECT_EQ(again.iteration, 4);
  EXPECT_EQ(again.last_eval_loss, trained);
  config.checkpoint.load.clear();
  config.checkpoint.save.clear();
  config.logger.metrics_jsonl = (folder_ / "untrained.jsonl").string();
  const Result untrained = train(config, {});
  EXPECT_EQ(untrained.iteration, 0);
  EXPECT_NEAR(untrained.last_eval_loss.value(), std::log(64), 0.5);
}

TEST_F(LoopTest, ReasonsToStopWriteTheseTranscripts) {
  config::RunConfig config = plain("interval", 4);
  config.train.exit_interval = 2;
  config.logger.log_interval = 100;
  EXPECT_EQ(transcript(config), "[exiting program at iteration 2] datetime: TIME \n");
  EXPECT_EQ(result_.end, End::kExitInterval);
  config = plain("duration", 4);
  config.train.exit_duration_in_mins = 1e-6;
  config.logger.log_interval = 100;
  EXPECT_EQ(transcript(config), "[exiting program after 1e-06 minutes] datetime: TIME \n");
  EXPECT_EQ(result_.end, End::kExitDuration);
  EXPECT_EQ(result_.iteration, 1);
  EXPECT_THAT(checkpoints("duration"), ElementsAre("1"));
  config = plain("request", 4);
  config.logger.log_interval = 100;
  Hooks hooks;
  int asked = 0;
  hooks.stop_requested = [&] { return ++asked == 3; };
  EXPECT_EQ(transcript(config, hooks), "[exiting program on request] datetime: TIME \n");
  EXPECT_EQ(result_.end, End::kStopped);
  EXPECT_THAT(checkpoints("request"), ElementsAre("3"));
}

/// Every event of a run, in order.
Hooks watched(std::vector<std::string>& events) {
  const auto plainly = [&events](std::string name) { return [&events, name] { events.push_back(name); }; };
  const auto number = [&events](std::string name) {
    return [&events, name](int64_t at) { events.push_back(name + " " + std::to_string(at)); };
  };
  const auto of_record = [&events](std::string name) {
    return [&events, name](const auto& record) { events.push_back(name + " " + std::to_string(record.iteration)); };
  };
  Hooks hooks;
  hooks.on_data_init_start = plainly("data init start");
  hooks.on_train_start = number("train start");
  hooks.on_train_step_start = number("step start");
  hooks.on_train_step_end = of_record("step end");
  hooks.on_train_end = number("train end");
  hooks.on_eval_start = number("eval start");
  hooks.on_eval_step_start = number("eval step start");
  hooks.on_eval_step_end = number("eval step end");
  hooks.on_eval_end = of_record("eval end");
  hooks.on_test_start = number("test start");
  hooks.on_test_step_start = number("test step start");
  hooks.on_test_step_end = number("test step end");
  hooks.on_test_end = of_record("test end");
  hooks.on_checkpoint_save = [&events](int64_t iteration, const fs::path&) {
    events.push_back("save " + std::to_string(iteration));
  };
  return hooks;
}

TEST_F(LoopTest, EventsComeInThisOrder) {
  config::RunConfig config = plain("events", 3);
  config.validation.eval_interval = 2;
  config.validation.start_eval_at_iter = 1;
  config.validation.eval_iters = 1;
  config.dataset.valid_data_path.clear();
  config.dataset.split = "8,1,1";
  config.checkpoint.save_interval = 2;
  std::vector<std::string> events;
  train(config, watched(events));
  EXPECT_THAT(events, ElementsAre("data init start", "train start 0", "step start 1", "step end 1", "step start 2",
                                  "step end 2", "eval start 2", "eval step start 0", "eval step end 0", "eval end 2",
                                  "save 2", "step start 3", "step end 3", "train end 3", "eval start 3",
                                  "eval step start 0", "eval step end 0", "eval end 3", "test start 3",
                                  "test step start 0", "test step end 0", "test end 3", "save 3"));
}

TEST_F(LoopTest, WhatAnEventThrowsEndsTheRun) {
  Hooks hooks;
  int steps = 0;
  hooks.on_train_step_end = [&](const StepRecord&) {
    if (++steps == 2) throw std::runtime_error("enough");
  };
  EXPECT_THROW(train(plain("throws", 4), hooks), std::runtime_error);
  EXPECT_EQ(steps, 2);
}

TEST_F(LoopTest, AnOwnForwardStepIsTrainedOnAndReported) {
  Hooks hooks;
  std::vector<double> losses;
  hooks.forward_step = [](const model::Model& model, const model::Batch& batch) {
    model::LossSum loss = model.forward_loss(batch);
    loss.sum = loss.sum * 2;
    return loss;
  };
  hooks.on_train_step_end = [&](const StepRecord& record) { losses.push_back(record.loss); };
  config::RunConfig config = plain("own", 2);
  config.optimizer.clip_grad = 0;
  train(config, hooks);
  EXPECT_NEAR(losses[0], 2 * std::log(64), 1);
  hooks.forward_step = {};
  config.checkpoint.save = config.checkpoint.load = (folder_ / "theirs").string();
  train(config, hooks);
  EXPECT_NEAR(losses[0], 2 * losses[2], 1e-4);
  EXPECT_NEAR(records("own")[0]["grad norm"].get<double>(), 2 * records("theirs")[0]["grad norm"].get<double>(), 1e-3);
}

/// Resident bytes of this process.
int64_t resident() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, pages = 0;
  statm >> total >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

TEST_F(LoopTest, AThousandStepsTakeNoMoreMemoryThanThreeHundred) {
  config::RunConfig config = plain("long", 1000);
  config.train.global_batch_size = config.train.micro_batch_size = 1;
  config.validation.eval_interval = 50;
  config.validation.eval_iters = 1;
  config.resilience.on_spike = "skip";
  int64_t early = 0, late = 0;
  Hooks hooks;
  hooks.on_train_step_end = [&](const StepRecord& record) {
    if (record.iteration == 300) early = resident();
    if (record.iteration == 1000) late = resident();
  };
  hooks.print = [](std::string_view) {};
  train(config, hooks);
  EXPECT_LT(late - early, 1 << 20);
}

}  // namespace
}  // namespace rialto::train
