// Whole runs on a toy: learning, resuming bit for bit, stopping, refusing, and never saving what is not finite.
#include <ATen/Functions.h>

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"
#include "rialto/convert/convert.h"
#include "toy_run.h"

namespace rialto::train {
namespace {

using testing::HasSubstr;

class TrainTest : public testing::TestWithParam<const char*>, protected ToyRun {
 protected:
  config::RunConfig config(const std::string& run) const { return ToyRun::config(run, GetParam()); }
};

TEST_P(TrainTest, LearnsAndReports) {
  config::RunConfig run = config("a");
  run.train.train_iters = 60;
  std::vector<std::string> lines;
  std::vector<double> losses;
  Hooks hooks;
  hooks.print = [&](std::string_view line) { lines.emplace_back(line); };
  hooks.on_train_step_end = [&](const StepRecord& record) { losses.push_back(record.loss); };
  const Result result = train(run, hooks);
  EXPECT_EQ(result.end, End::kFinished);
  EXPECT_EQ(result.iteration, 60);
  ASSERT_EQ(losses.size(), 60u);
  EXPECT_NEAR(losses.front(), std::log(64), 0.5);
  EXPECT_LT(losses.back(), 0.6 * losses.front());
  ASSERT_TRUE(result.last_eval_loss);
  EXPECT_LT(*result.last_eval_loss, 0.7 * std::log(64));
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const std::string& line) { return line.find(" lm loss: ") != std::string::npos; }),
            12);
  const auto written = records("a");
  EXPECT_EQ(written.front()["kind"], "validation");
  EXPECT_EQ(written.front()["iteration"], 0);
  EXPECT_EQ(written.back()["kind"], "validation");
  EXPECT_EQ(written.back()["iteration"], 60);
  EXPECT_EQ(std::count_if(written.begin(), written.end(), [](const Json& r) { return r["kind"] == "train"; }), 60);
  EXPECT_TRUE(fs::exists(*result.checkpoint / ".metadata"));
}

TEST_P(TrainTest, TenAndTenIsTwentyBitForBit) {
  train(config("straight"), {});
  config::RunConfig halves = config("halves");
  halves.train.exit_interval = 10;  // inside the warm-up, between two evaluations
  EXPECT_EQ(train(halves, {}).end, End::kExitInterval);
  const Result second = train(halves, {});
  EXPECT_EQ(second.first_iteration, 10);
  EXPECT_EQ(second.end, End::kFinished);
  EXPECT_EQ(records("halves"), records("straight"));
  const auto a = state("straight", 20), b = state("halves", 20);
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, bytes] : a) EXPECT_TRUE(bytes == b.at(key)) << key;
}

TEST_P(TrainTest, AccumulationSumsTheSameGradient) {
  config::RunConfig whole = config("whole"), parts = config("parts");
  whole.train.train_iters = parts.train.train_iters = 3;
  whole.train.micro_batch_size = 4;
  parts.train.micro_batch_size = 1;
  whole.scheduler.lr_warmup_iters = parts.scheduler.lr_warmup_iters = 0;
  std::vector<double> losses, norms;
  Hooks hooks;
  hooks.on_train_step_end = [&](const StepRecord& record) {
    losses.push_back(record.loss), norms.push_back(record.grad_norm);
  };
  train(whole, hooks);
  train(parts, hooks);
  const double tolerance = std::string(GetParam()) == "fp32" ? 1e-5 : 2e-2;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(losses[i], losses[i + 3], tolerance * losses[i]);
    EXPECT_NEAR(norms[i], norms[i + 3], tolerance * 10 * norms[i]);
  }
}

TEST_P(TrainTest, StopsOnRequestAndGoesOn) {
  int64_t done = 0;
  Hooks hooks;
  hooks.on_train_step_end = [&](const StepRecord& record) { done = record.iteration; };
  hooks.stop_requested = [&] { return done == 7; };
  const Result stopped = train(config("stopped"), hooks);
  EXPECT_EQ(stopped.end, End::kStopped);
  EXPECT_EQ(stopped.iteration, 7);
  EXPECT_EQ(stopped.checkpoint->filename(), "iter_0000007");
  EXPECT_EQ(train(config("stopped"), {}).first_iteration, 7);
  train(config("straight"), {});
  EXPECT_EQ(records("stopped"), records("straight"));
}

TEST_P(TrainTest, ALossThatIsNotFiniteStopsBeforeTheUpdate) {
  config::RunConfig run = config("diverges");
  run.optimizer.lr = 1e25;  // the first update throws the weights far enough away that the next pass overflows
  run.optimizer.min_lr = 0;
  run.scheduler.lr_warmup_iters = 0;
  run.checkpoint.save_interval = 100;
  EXPECT_THAT(failure(run, ErrorKind::kInternal),
              testing::AllOf(HasSubstr("iteration 2"), HasSubstr("not finite"), HasSubstr("iter_0000001")));
  for (const auto& [key, bytes] : state("diverges", 1)) {
    if (bytes.size() % 4 != 0 || key.rfind("optimizer.", 0) != 0) continue;
    const at::Tensor values =
        at::from_blob(const_cast<char*>(bytes.data()), {static_cast<int64_t>(bytes.size() / 4)}, at::kFloat);
    EXPECT_TRUE(at::isfinite(values).all().item<bool>()) << key;
  }
}

TEST_P(TrainTest, StartsFromACheckpointsWeights) {
  config::RunConfig first = config("first");
  train(first, {});
  config::RunConfig second = config("second");
  second.checkpoint.pretrained_checkpoint = first.checkpoint.save;
  second.model = {};
  second.model.set("seq_length", "24");
  second.train.train_iters = 1;
  second.scheduler.lr_warmup_iters = 0;
  std::vector<double> evaluations;
  Hooks hooks;
  hooks.on_eval_end = [&](const EvalRecord& record) { evaluations.push_back(record.loss); };
  const Result result = train(second, hooks);
  EXPECT_EQ(result.first_iteration, 0);
  EXPECT_EQ(evaluations.front(), records("first").back()["lm loss"].get<double>());
}

TEST_P(TrainTest, TheFolderItStartedFromMayGoAfterTheFirstSave) {
  config::RunConfig first = config("first");
  first.train.train_iters = 1;
  first.scheduler.lr_warmup_iters = 0;
  train(first, {});
  convert::ConvertOptions exported;
  exported.source = first.checkpoint.save;
  exported.destination = folder_ / "hf";
  convert::convert(exported, real_file_ops(), nullptr);

  config::RunConfig second = config("second");
  second.checkpoint.pretrained_checkpoint = exported.destination.string();
  second.model = {};
  second.model.set("seq_length", "24");
  second.train.train_iters = 2;
  second.scheduler.lr_warmup_iters = 0;
  second.checkpoint.save_interval = 1;
  const std::string recorded = read_text_file(exported.destination / "config.json");
  Hooks hooks;
  hooks.on_checkpoint_save = [&](int64_t, const fs::path&) { fs::remove_all(exported.destination); };
  const Result result = train(second, hooks);
  EXPECT_EQ(read_text_file(result.checkpoint.value() / "rialto_source/config.json"), recorded);
}

TEST_P(TrainTest, AFinishedRunHasNothingLeftToDo) {
  train(config("done"), {});
  const auto before = records("done");
  const Result again = train(config("done"), {});
  EXPECT_EQ(again.first_iteration, 20);
  EXPECT_EQ(again.end, End::kFinished);
  EXPECT_EQ(records("done"), before);
}

TEST_P(TrainTest, RefusesWhatWouldBeSilentlyWrong) {
  train(config("run"), {});
  config::RunConfig other = config("run");
  other.checkpoint.load.clear();
  EXPECT_THAT(failure(other, ErrorKind::kConfig), HasSubstr("already holds"));
  other = config("run");
  other.train.train_iters = 40;  // also the length of the decay
  EXPECT_THAT(failure(other, ErrorKind::kConfig),
              testing::AllOf(HasSubstr("scheduler.lr_decay_iters"), HasSubstr("override_opt_param_scheduler")));
  other.scheduler.override_opt_param_scheduler = true;
  EXPECT_EQ(train(other, {}).iteration, 40);
  other = config("run");
  other.model.set("num_layers", "3");
  EXPECT_THAT(failure(other, ErrorKind::kConfig), HasSubstr("model.num_layers"));
  other = config("new");
  other.dataset.seq_length = 25;
  EXPECT_THAT(failure(other, ErrorKind::kConfig), HasSubstr("dataset.seq_length"));
  other = config("new");
  other.dataset.data_path = {(folder_ / "missing").string()};
  EXPECT_THAT(failure(other, ErrorKind::kInput), HasSubstr("missing"));
  other = config("new");
  other.checkpoint.ckpt_step = 3;
  EXPECT_THAT(failure(other, ErrorKind::kInput), HasSubstr("3"));
  other = config("new");
  other.checkpoint.separate_expert_optimizer = true;
  EXPECT_THAT(failure(other, ErrorKind::kConfig), HasSubstr("no experts"));
  other = config("new");
  other.model.set("vocab_size", "40");  // the data has 64
  EXPECT_THAT(failure(other, ErrorKind::kInput), HasSubstr("token"));
  EXPECT_FALSE(fs::exists(folder_ / "new" / "iter_0000020"));
}

INSTANTIATE_TEST_SUITE_P(Precision, TrainTest, testing::Values("fp32", "bf16_mixed"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace rialto::train
