// Runs under every optimizer and schedule: interrupted they are the undisturbed run; what does not fit a checkpoint is
// refused.
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/train/optimizer_options.h"
#include "toy_run.h"

namespace rialto::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Variant {
  const char* name;
  const char* precision;
  std::function<void(config::RunConfig&)> set;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

void muon(config::RunConfig& config) {
  config.optimizer.optimizer = "muon";
  config.optimizer.use_distributed_optimizer = false;
}

void small_state(config::RunConfig& config) {
  config.optimizer.use_precision_aware_optimizer = true;
  config.optimizer.exp_avg_dtype = config.optimizer.exp_avg_sq_dtype = "bfloat16";
}

class OptimizersTest : public testing::TestWithParam<Variant>, protected ToyRun {
 protected:
  config::RunConfig config(const std::string& run) const {
    config::RunConfig config = ToyRun::config(run, GetParam().precision);
    GetParam().set(config);
    return config;
  }
};

TEST_P(OptimizersTest, AnInterruptedRunIsTheUndisturbedOne) {
  train(config("straight"), {});
  config::RunConfig halves = config("halves");
  halves.train.exit_interval = 10;  // inside the warm-up, between two evaluations
  EXPECT_EQ(train(halves, {}).end, End::kExitInterval);
  EXPECT_EQ(train(halves, {}).first_iteration, 10);
  EXPECT_EQ(records("halves"), records("straight"));
  const auto a = state("straight", 20), b = state("halves", 20);
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, bytes] : a) EXPECT_TRUE(bytes == b.at(key)) << key;
}

TEST_P(OptimizersTest, ItActs) {
  config::RunConfig plain = ToyRun::config("plain", GetParam().precision);
  train(plain, {});
  train(config("run"), {});
  const auto a = state("plain", 20), b = state("run", 20);
  const std::string weight = "embedding.word_embeddings.weight";
  if (std::string(GetParam().name) == "remainders")
    EXPECT_TRUE(a == b) << "remainders lose nothing";
  else
    EXPECT_FALSE(a.at(weight) == b.at(weight));
}

INSTANTIATE_TEST_SUITE_P(
    All, OptimizersTest,
    testing::Values(Variant{"adam", "bf16_mixed",
                            [](config::RunConfig& c) { c.optimizer.decoupled_weight_decay = false; }},
                    Variant{"sgd", "bf16_mixed", [](config::RunConfig& c) { c.optimizer.optimizer = "sgd"; }},
                    Variant{"sgd_without_momentum", "fp32",
                            [](config::RunConfig& c) {
                              c.optimizer.optimizer = "sgd";
                              c.optimizer.sgd_momentum = 0;
                            }},
                    Variant{"lion", "bf16_mixed", [](config::RunConfig& c) { c.optimizer.optimizer = "lion"; }},
                    Variant{"muon", "bf16_mixed", muon}, Variant{"muon_fp32", "fp32", muon},
                    Variant{"remainders", "bf16_mixed",
                            [](config::RunConfig& c) { c.optimizer.use_precision_aware_optimizer = true; }},
                    Variant{"small_moments", "bf16_mixed", small_state},
                    Variant{"small_moments_offloaded", "bf16_mixed",
                            [](config::RunConfig& c) {
                              small_state(c);
                              c.optimizer.optimizer_cpu_offload = true;
                              c.optimizer.optimizer_offload_fraction = 0.4;
                            }},
                    Variant{"rates_of_groups", "bf16_mixed",
                            [](config::RunConfig& c) {
                              c.optimizer.decoupled_lr = 3e-3;
                              c.optimizer.decoupled_min_lr = 1e-3;
                            }},
                    Variant{"samples", "fp32",
                            [](config::RunConfig& c) {
                              c.scheduler.lr_warmup_iters = 0;
                              c.scheduler.lr_warmup_samples = 10;
                              c.scheduler.lr_decay_style = "inverse-square-root";
                            }},
                    Variant{"growing_decay", "fp32",
                            [](config::RunConfig& c) {
                              c.scheduler.start_weight_decay = 0;
                              c.scheduler.end_weight_decay = 1;
                              c.scheduler.weight_decay_incr_style = "linear";
                            }}),
    [](const auto& variant) { return variant.param.name; });

/// What a run on a CPU does not show: there, offloaded state lies where the other does.
TEST(OptimizerOptionsTest, OffloadAndRemaindersAreAskedFor) {
  config::RunConfig config;
  config.optimizer.optimizer_offload_fraction = 0.5;
  EXPECT_EQ(optimizer_options(config).offload_fraction, 0);
  config.optimizer.optimizer_cpu_offload = true;
  EXPECT_EQ(optimizer_options(config).offload_fraction, 0.5);
  config.optimizer.use_precision_aware_optimizer = true;
  EXPECT_TRUE(optimizer_options(config).param_remainders);
  config.mixed_precision = "fp32";
  EXPECT_FALSE(optimizer_options(config).param_remainders) << "the weights are the main parameters";
}

class OtherCheckpointTest : public testing::Test, protected ToyRun {
 protected:
  config::RunConfig half(const std::string& run) const {
    config::RunConfig config = ToyRun::config(run);
    config.train.exit_interval = 10;
    return config;
  }
};

TEST_F(OtherCheckpointTest, AnotherOptimizersStateIsRefused) {
  config::RunConfig config = half("run");
  config.optimizer.optimizer = "sgd";
  train(config, {});
  config.optimizer.optimizer = "adam";
  EXPECT_THAT(failure(config, ErrorKind::kConfig),
              AllOf(HasSubstr("optimizer.optimizer"), HasSubstr("got adam, want sgd"), HasSubstr("load_optim=false")));
  config.checkpoint.load_optim = false;
  EXPECT_EQ(train(config, {}).first_iteration, 10);
}

TEST_F(OtherCheckpointTest, AnotherScheduleIsRefusedOrTakenAsTold) {
  train(ToyRun::config("straight"), {});
  for (const std::string way : {"refused", "override", "checkpoint"}) {
    config::RunConfig config = half(way);
    train(config, {});
    config.optimizer.lr = 2e-2;
    config.scheduler.lr_warmup_iters = 3;
    config.scheduler.lr_decay_style = "linear";
    config.scheduler.override_opt_param_scheduler = way == "override";
    config.scheduler.use_checkpoint_opt_param_scheduler = way == "checkpoint";
    if (way == "refused") {
      EXPECT_THAT(failure(config, ErrorKind::kConfig),
                  AllOf(HasSubstr("[optimizer.lr] the schedule is not the one of the checkpoint"),
                        HasSubstr("use_checkpoint_opt_param_scheduler=true")));
    } else {
      train(config, {});
      EXPECT_EQ(records(way) == records("straight"), way == "checkpoint") << way;
    }
  }
}

TEST_F(OtherCheckpointTest, AWeightDecayThatGrowsOtherwiseIsRefused) {
  config::RunConfig config = half("run");
  config.scheduler.start_weight_decay = 0;
  config.scheduler.end_weight_decay = 0.2;
  config.scheduler.weight_decay_incr_style = "cosine";
  train(config, {});
  config.scheduler.end_weight_decay = 0.3;
  EXPECT_THAT(failure(config, ErrorKind::kConfig), HasSubstr("0.3"));
  config.scheduler.end_weight_decay = 0.2;
  config.train.train_iters = 24;
  config.scheduler.lr_decay_iters = 20;
  EXPECT_THAT(failure(config, ErrorKind::kConfig), AllOf(HasSubstr("96 samples"), HasSubstr("80 samples")));
}

}  // namespace
}  // namespace rialto::train
