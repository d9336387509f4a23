// Batch sizes and lengths. The ramp-ups were read off megatron/core/num_microbatches_calculator.py; the oracle tests
// run it.
#include "rialto/config/batch_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/config/rules.h"
#include "tests/unit/config/good_config.h"

namespace rialto::config {
namespace {

std::vector<int64_t> ramp(const TrainSection& train, std::vector<int64_t> consumed, int64_t ranks = 1) {
  std::vector<int64_t> running;
  for (const int64_t samples : consumed) running.push_back(batch_sizes_at(train, samples, ranks).running);
  return running;
}

TEST(BatchSizes, ConstantWithoutRampUp) {
  EXPECT_EQ(batch_sizes_at({.micro_batch_size = 2, .global_batch_size = 8}, 1000, 4), (BatchSizes{8, 8}));
}

TEST(BatchSizes, RampUpGrowsByEqualShares) {
  const TrainSection train{.micro_batch_size = 2, .global_batch_size = 8, .rampup_batch_size = {2, 2, 100}};
  EXPECT_THAT(ramp(train, {0, 33, 34, 66, 67, 99, 100, 101, 1000}), testing::ElementsAre(2, 2, 4, 4, 6, 6, 8, 8, 8));
}

TEST(BatchSizes, RoundsDownToMicroBatchesOfEveryRank) {
  const TrainSection train{.micro_batch_size = 2,
                           .global_batch_size = 9,
                           .rampup_batch_size = {4, 1, 50},
                           .decrease_batch_size_if_needed = true};
  EXPECT_THAT(ramp(train, {0, 10, 20, 30, 40, 50}, 2), testing::ElementsAre(4, 4, 4, 4, 8, 8));
  EXPECT_EQ(batch_sizes_at(train, 30, 2), (BatchSizes{7, 4}));
}

TEST(RunLength, OfSamplesAndEpochs) {
  const auto none = [] { return ADD_FAILURE() << "asked for the data", int64_t{0}; };
  RunConfig config;
  config.train.global_batch_size = 4;
  config.train.train_samples = 15;
  EXPECT_EQ(with_train_iters(config, none).train.train_iters, 3);
  EXPECT_EQ(planned_samples(with_train_iters(config, none).train), 15);
  config.train.train_samples.reset();
  config.train.num_epochs = 1.5;
  const RunConfig epochs = with_train_iters(config, [] { return int64_t{10}; });
  EXPECT_EQ(epochs.train.train_iters, 5) << "ceil(1.5 * ceil(10 / 4))";
  EXPECT_FALSE(epochs.train.num_epochs);
  EXPECT_EQ(planned_samples(epochs.train), 20);
}

struct Case {
  const char* rule;
  std::function<void(RunConfig&)> spoil;
};

TEST(LoopRules, EachNamesItself) {
  const Case cases[] = {
      {"R100", [](RunConfig& c) { c.train.train_samples = 80; }},
      {"R101", [](RunConfig& c) { c.train.train_iters = 0, c.train.train_samples = 0; }},
      {"R102", [](RunConfig& c) { c.train.train_iters = 0, c.train.train_samples = 7; }},
      {"R103", [](RunConfig& c) { c.train.train_iters = 0, c.train.num_epochs = -1; }},
      {"R104", [](RunConfig& c) { c.train.rampup_batch_size = {2, 4, 10}; }},
      {"R104", [](RunConfig& c) { c.train.rampup_batch_size = {8, 2, 10}; }},
      {"R104", [](RunConfig& c) { c.train.rampup_batch_size = {2, 2}; }},
      {"R104", [](RunConfig& c) { c.train.rampup_batch_size = {2, 0, 10}; }},
      {"R105", [](RunConfig& c) { c.train.rampup_batch_size = {2, 3, 10}; }},
      {"R105",
       [](RunConfig& c) { c.train.rampup_batch_size = {1, 1, 9}, c.train.decrease_batch_size_if_needed = true; }},
      {"R106",
       [](RunConfig& c) {
         c.train.train_iters = 0, c.train.train_samples = 80;
         c.train.rampup_batch_size = {2, 2, 10};
       }},
      {"R107", [](RunConfig& c) { c.train.iterations_to_skip = {3, -1}; }},
      {"R108", [](RunConfig& c) { c.train.exit_duration_in_mins = 0; }},
      {"R109", [](RunConfig& c) { c.train.exit_duration_in_mins = 5, c.checkpoint.save.clear(); }},
      {"R110", [](RunConfig& c) { c.train.exit_signal = 9, c.train.exit_signal_handler = true; }},
      {"R111", [](RunConfig& c) { c.train.exit_signal = 12; }},
      {"R112", [](RunConfig& c) { c.train.skip_train = true; }},
      {"R120", [](RunConfig& c) { c.validation.start_eval_at_iter = -1; }},
      {"R121", [](RunConfig& c) { c.validation.eval_global_batch_size = 0; }},
      {"R122", [](RunConfig& c) { c.validation.eval_micro_batch_size = 0; }},
      {"R123", [](RunConfig& c) { c.validation.eval_global_batch_size = 3; }},
      {"R130", [](RunConfig& c) { c.resilience.on_nonfinite = "none"; }},
      {"R131", [](RunConfig& c) { c.resilience.on_spike = "jump"; }},
      {"R132", [](RunConfig& c) { c.resilience.spike_factor = 0.5; }},
      {"R133", [](RunConfig& c) { c.resilience.spike_window = 0; }},
      {"R134", [](RunConfig& c) { c.resilience.max_skipped_iterations = 0; }},
      {"R135", [](RunConfig& c) { c.resilience.on_spike = "rewind"; }},
      {"R135",
       [](RunConfig& c) {
         c.resilience.on_nonfinite = "rewind", c.checkpoint.save_interval = 5, c.checkpoint.save_optim = false;
       }},
  };
  ASSERT_TRUE(broken_rules(good()).empty());
  for (const Case& example : cases) {
    RunConfig config = good();
    example.spoil(config);
    std::vector<std::string> broken;
    for (const Problem& problem : broken_rules(config)) broken.push_back(problem.rule);
    EXPECT_THAT(broken, testing::ElementsAre(example.rule));
  }
}

}  // namespace
}  // namespace rialto::config
