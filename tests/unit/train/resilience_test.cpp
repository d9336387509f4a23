// What a run does about losses that are not finite and about spikes: stop, skip, go back; also across a resume.
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/train/trouble.h"
#include "toy_run.h"

namespace rialto::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Spike, IsMeasuredAgainstTheMedianOfAWholeWindow) {
  config::ResilienceSection section{.on_spike = "skip", .spike_factor = 3, .spike_window = 3};
  std::vector<double> recent;
  for (const double loss : {9.0, 1.0, 2.0}) {
    EXPECT_FALSE(is_spike(section, recent, 1000)) << "after " << recent.size();
    remember_loss(section, recent, loss);
  }
  EXPECT_FALSE(is_spike(section, recent, 6));
  EXPECT_TRUE(is_spike(section, recent, 6.1)) << "three times 2";
  remember_loss(section, recent, 1);
  EXPECT_THAT(recent, ElementsAre(1, 2, 1));
  section.on_spike = "none";
  EXPECT_FALSE(is_spike(section, recent, 1000));
}

class ResilienceTest : public testing::Test, protected ToyRun {
 protected:
  config::RunConfig plain(const std::string& run) const {
    config::RunConfig config = ToyRun::config(run);
    config.train.train_iters = 8;
    config.scheduler.lr_warmup_iters = 4;
    config.scheduler.lr_decay_iters = 100;
    config.validation.eval_interval = 4;
    config.checkpoint.save_interval = 2;
    config.resilience.spike_window = 3;
    config.resilience.spike_factor = 3;
    return config;
  }

  /// The loss of the micro-batches that hold sample `bad` is `factor` times what it is.
  static Hooks bad_data(int64_t bad, double factor) {
    Hooks hooks;
    hooks.forward_step = [bad, factor](const model::Model& model, const model::Batch& batch) {
      model::LossSum loss = model.forward_loss(batch);
      const auto& samples = batch.sample_numbers;
      if (std::find(samples.begin(), samples.end(), bad) != samples.end() && loss.sum.requires_grad())
        loss.sum = loss.sum * factor;
      return loss;
    };
    return hooks;
  }

  /// `kind iteration` of every record.
  std::vector<std::string> story(const std::string& run) const {
    std::vector<std::string> out;
    for (const Json& record : records(run)) {
      if (record["kind"] == "validation") continue;
      const bool skipped = record.contains("skipped");
      out.push_back((skipped ? "skipped" : record["kind"].get<std::string>()) + " " +
                    std::to_string(record["iteration"].get<int64_t>()));
    }
    return out;
  }

  std::string message(const config::RunConfig& config, const Hooks& hooks) {
    try {
      train(config, hooks);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "the run did not stop";
    return "";
  }
};

constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST_F(ResilienceTest, StopsAtANonfiniteLossAndAtASpike) {
  EXPECT_THAT(message(plain("a"), bad_data(21, kInfinite)),
              AllOf(HasSubstr("iteration 6"), HasSubstr("the loss is not finite"), HasSubstr("iter_0000005")));
  config::RunConfig config = plain("b");
  config.resilience.on_spike = "stop";
  EXPECT_THAT(message(config, bad_data(21, 50)),
              AllOf(HasSubstr("iteration 6"), HasSubstr("more than 3 times"), HasSubstr("iter_0000005")));
  config = plain("c");
  train(config, bad_data(21, 50));
  EXPECT_EQ(records("c").back()["iteration"], 8) << "spikes are trained on unless told otherwise";
}

TEST_F(ResilienceTest, SkippingWritesThisTranscript) {
  config::RunConfig config = plain("run");
  config.resilience.on_nonfinite = "skip";
  config.logger.log_interval = 8;
  std::string line;
  std::vector<std::string> said;
  Hooks hooks = bad_data(21, kInfinite);
  hooks.print = [&](std::string_view text) {
    said.emplace_back(text);
    if (text.find("consumed samples") != text.npos) line = text;
  };
  train(config, hooks);
  EXPECT_THAT(said, testing::Contains("iteration 6: the loss is not finite; skipped"));
  EXPECT_THAT(line, AllOf(HasSubstr("consumed samples:           32 |"), HasSubstr("lm loss: "),
                          HasSubstr("number of skipped iterations:   1 | number of nan iterations:   1 |")));
  EXPECT_THAT(story("run"),
              ElementsAre("train 1", "train 2", "train 3", "train 4", "train 5", "skipped 6", "train 7", "train 8"));
  const auto written = records("run");
  const auto rate = [&](int64_t iteration) {
    for (const Json& record : written)
      if (record["kind"] == "train" && record["iteration"] == iteration) return record["learning rate"].get<double>();
    return -1.0;
  };
  EXPECT_EQ(rate(7), rate(6)) << "the schedule counts what was trained";
}

TEST_F(ResilienceTest, ASkippedSpikeMovesNothingAndIsNotRemembered) {
  config::RunConfig config = plain("spikes");
  config.resilience.on_spike = "skip";
  train(config, bad_data(21, 50));
  EXPECT_EQ(story("spikes")[5], "skipped 6");
  config::RunConfig without = plain("passed_over");
  without.resilience.on_spike = "skip";
  without.train.iterations_to_skip = {5};
  train(without, {});
  const auto a = state("spikes", 8), b = state("passed_over", 8);
  EXPECT_EQ(a, b);
}

TEST_F(ResilienceTest, ALargeNormIsSkippedByItsThreshold) {
  config::RunConfig config = plain("norms");
  train(config, bad_data(21, 50));
  std::vector<double> norms;
  for (const Json& record : records("norms"))
    if (record["kind"] == "train") norms.push_back(record["grad norm"].get<double>());
  ASSERT_EQ(norms.size(), 8u);
  const double others = std::max(*std::max_element(norms.begin(), norms.begin() + 5), norms[6]);
  ASSERT_GT(norms[5], 2 * others) << "the sixth iteration must stand out";

  config = plain("skipped");
  config.optimizer.grad_norm_skip_threshold = 1.5 * others;
  std::vector<std::string> said;
  Hooks hooks = bad_data(21, 50);
  hooks.print = [&](std::string_view text) { said.emplace_back(text); };
  train(config, hooks);
  EXPECT_THAT(
      said, testing::Contains("iteration 6: the gradient's norm is above optimizer.grad_norm_skip_threshold; skipped"));
  EXPECT_EQ(story("skipped")[5], "skipped 6");
  config::RunConfig without = plain("passed_over");
  without.train.iterations_to_skip = {5};
  train(without, {});
  const auto a = state("skipped", 8), b = state("passed_over", 8);
  EXPECT_EQ(a, b);

  config.resilience.max_skipped_iterations = 1;
  config.optimizer.grad_norm_skip_threshold = 1e-9;
  config.checkpoint.save = config.checkpoint.load = (folder_ / "stuck").string();
  EXPECT_THAT(message(config, {}), AllOf(HasSubstr("iteration 2"), HasSubstr("max_skipped_iterations=1 is reached")));
}

TEST_F(ResilienceTest, GoingBackLeavesTheDataOut) {
  config::RunConfig config = plain("rewound");
  config.resilience.on_spike = "rewind";
  config.logger.log_interval = 100;
  std::vector<std::string> said;
  Hooks hooks = bad_data(21, 50);
  hooks.print = [&](std::string_view text) {
    if (text.starts_with("iteration")) said.emplace_back(text);
  };
  const Result result = train(config, hooks);
  EXPECT_EQ(result.iteration, 8);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], AllOf(testing::StartsWith("iteration 6: the loss is more than 3 times "),
                             testing::EndsWith("going back to iter_0000004 and leaving its data out")));
  EXPECT_THAT(story("rewound"),
              ElementsAre("train 1", "train 2", "train 3", "train 4", "train 5", "left out 6", "train 7", "train 8"));
  config::RunConfig without = plain("passed_over");
  without.resilience.on_spike = "rewind";
  without.train.iterations_to_skip = {5};
  train(without, {});
  EXPECT_EQ(records("rewound"), records("passed_over"));
  EXPECT_EQ(state("rewound", 8), state("passed_over", 8));
}

TEST_F(ResilienceTest, ANonfiniteLossIsGoneBackFromToo) {
  config::RunConfig config = plain("run");
  config.resilience.on_nonfinite = "rewind";
  train(config, bad_data(21, kInfinite));
  EXPECT_EQ(story("run")[5], "left out 6");
  config = plain("early");
  config.resilience.on_nonfinite = "rewind";
  EXPECT_THAT(message(config, bad_data(2, kInfinite)), HasSubstr("no checkpoint to go back to"));
}

TEST_F(ResilienceTest, DecisionsSurviveAResume) {
  for (const std::string remedy : {"skip", "rewind"}) {
    config::RunConfig config = plain("straight_" + remedy);
    config.resilience.on_spike = remedy;
    const Hooks hooks = bad_data(25, 50);  // iteration 7
    train(config, hooks);
    config.checkpoint.save = config.checkpoint.load = (folder_ / ("parts_" + remedy)).string();
    config.checkpoint.save_interval = 4;
    // Stopped with two of the three losses that a spike needs, then right behind the spike's place.
    for (const int64_t stop : {2, 5, 7}) {
      Hooks stopping = hooks;
      int64_t done = 0;
      stopping.on_train_step_end = [&](const StepRecord& record) { done = record.iteration; };
      stopping.stop_requested = [&] { return done == stop; };
      train(config, stopping);
    }
    train(config, hooks);
    EXPECT_EQ(records("parts_" + remedy), records("straight_" + remedy));
    EXPECT_EQ(state("parts_" + remedy, 8), state("straight_" + remedy, 8));
  }
}

TEST_F(ResilienceTest, APendingGapIsInTheCheckpoint) {
  config::RunConfig config = plain("gap");
  config.resilience.on_spike = "rewind";
  Hooks hooks = bad_data(21, 50);
  int64_t steps = 0;
  hooks.on_train_step_end = [&](const StepRecord&) { ++steps; };
  hooks.stop_requested = [&] { return steps == 6; };  // 1 2 3 4 5 (6 goes back to 4) 5
  EXPECT_EQ(train(config, hooks).iteration, 5);
  // The data is good now, yet its place stays empty: the decision was recorded.
  train(config, {});
  EXPECT_EQ(story("gap")[5], "left out 6");
}

TEST_F(ResilienceTest, StopsWhenTooManyWereSkipped) {
  config::RunConfig config = plain("many");
  config.resilience.on_nonfinite = "skip";
  config.resilience.max_skipped_iterations = 2;
  Hooks hooks;
  hooks.forward_step = [](const model::Model& model, const model::Batch& batch) {
    model::LossSum loss = model.forward_loss(batch);
    if (batch.sample_numbers.front() >= 12) loss.sum = loss.sum * kInfinite;
    return loss;
  };
  EXPECT_THAT(message(config, hooks), AllOf(HasSubstr("iteration 6"), HasSubstr("max_skipped_iterations=2")));
}

}  // namespace
}  // namespace rialto::train
