// Clocks, timers, memory, norms, utilization and documents.
#include "rialto/train/phases.h"

#include <ATen/Functions.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/train/documents.h"
#include "rialto/train/memory_use.h"
#include "rialto/train/norms.h"
#include "rialto/train/timer_lines.h"
#include "rialto/train/utilization.h"
#include "tests/unit/spec/toy_models.h"

namespace rialto::train {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(PhasesTest, TimeBelongsToItsPhaseUntilItIsTaken) {
  Phases phases;
  for (int i = 0; i < 2; ++i) {
    const Phases::Scope scope(&phases, Phase::kForward);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  {
    const Phases::Scope none(nullptr, Phase::kSave);
  }
  const auto taken = phases.take();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_GE(taken.at("forward"), 4.0);
  EXPECT_TRUE(phases.take().empty());
}

TEST(TimerLinesTest, AreMegatronsByLevelAndOption) {
  const std::map<std::string, double> phases = {
      {"data", 1}, {"forward", 2.5}, {"backward", 4}, {"optimizer", 0.125}, {"save", 9}};
  EXPECT_TRUE(timers_of(phases, 0).empty());
  EXPECT_THAT(timers_of(phases, 1), ElementsAre(Pair("forward-backward", 6.5), Pair("optimizer", 0.125)));
  EXPECT_THAT(timers_of(phases, 2),
              ElementsAre(Pair("forward-backward", 6.5), Pair("optimizer", 0.125), Pair("batch-generator", 1.0),
                          Pair("forward-compute", 2.5), Pair("backward-compute", 4.0)));
  EXPECT_EQ(timer_lines({phases}, 1, "minmax"),
            "(min, max) time across ranks (ms):\n"
            "    forward-backward ...............................: (6.50, 6.50)\n"
            "    optimizer ......................................: (0.12, 0.12)");
}

TEST(TimerLinesTest, RanksAreComparedWhereATimerRan) {
  const std::vector<std::map<std::string, double>> ranks = {
      {{"optimizer", 0.5}}, {{"optimizer", 2}, {"reduce", 1}}, {{"optimizer", 0.75}}};
  EXPECT_EQ(timer_lines(ranks, 1, "minmax"),
            "(min, max) time across ranks (ms):\n"
            "    optimizer ......................................: (0.50, 2.00)\n"
            "    all-grads-sync .................................: (1.00, 1.00)");
  EXPECT_THAT(timer_lines(ranks, 1, "max"),
              testing::HasSubstr("optimizer ......................................: 2.00"));
  EXPECT_EQ(timer_lines(ranks, 1, "all"),
            "times across ranks (ms):\n  optimizer:\n     rank  0: 0.50\n     rank  1: 2.00\n     rank  2: 0.75\n"
            "  all-grads-sync:\n     rank  1: 1.00");
  EXPECT_EQ(timer_lines({{}, {}}, 1, "all"), "");
}

TEST(MemoryUseTest, IsThisProcesses) {
  const auto before = memory_use(at::kCPU);
  const std::vector<char> block(200'000'000, 1);
  const auto with = memory_use(at::kCPU);
  EXPECT_GT(before.at("mem-resident-gigabytes"), 0.01);
  EXPECT_NEAR(with.at("mem-resident-gigabytes") - before.at("mem-resident-gigabytes"), 0.2, 0.02);
  EXPECT_GE(with.at("mem-max-resident-gigabytes"), with.at("mem-resident-gigabytes"));
}

TEST(UtilizationTest, KnowsGpusByTheirNames) {
  EXPECT_EQ(known_peak_tflops("NVIDIA H100 80GB HBM3"), 989);
  EXPECT_EQ(known_peak_tflops("NVIDIA H100 PCIe"), 756);
  EXPECT_EQ(known_peak_tflops("NVIDIA A100-SXM4-80GB"), 312);
  EXPECT_EQ(known_peak_tflops("NVIDIA A10"), 125);
  EXPECT_EQ(known_peak_tflops("NVIDIA L40"), std::nullopt);
  EXPECT_EQ(known_peak_tflops(""), std::nullopt);
}

TEST(NormsTest, WeightsAndGradientsByHand) {
  const spec::ModelSpec model = test::toy_model({.layers = 1});
  model::Weights weights(model, {}, {}, {at::kCPU, at::kFloat}, true);
  model::Weight& head = weights.at("output_layer.weight");
  head.data.set_requires_grad(false).flatten().narrow(0, 0, 2).copy_(at::tensor({3.0f, 4.0f}));
  head.main_grad.flatten().narrow(0, 0, 2).copy_(at::tensor({5.0f, 12.0f}));
  EXPECT_DOUBLE_EQ(weights_norm(model, weights, {}), 5.0);
  const parallel::DataParallel alone(weights, {}, {});
  const auto norms = gradient_norms(model, weights, alone, {});
  EXPECT_DOUBLE_EQ(norms.at("l2_norm/grad/output_layer.weight"), 13.0);
  EXPECT_DOUBLE_EQ(norms.at("l2_norm/grad/global"), 13.0);
  EXPECT_DOUBLE_EQ(norms.at("l2_norm/grad/embedding.word_embeddings.weight"), 0.0);
  EXPECT_EQ(zeros_in_gradient(model, weights, alone, {}), spec::num_parameters(model) - 2);
}

TEST(DocumentsTest, RowsAreCutWhereTheDocumentChanges) {
  GlobalBatch batch;
  batch.micro_batches.resize(2);
  batch.micro_batches[0].tokens_BS = at::zeros({2, 5}, at::kLong);
  batch.micro_batches[1].tokens_BS = at::zeros({1, 5}, at::kLong);
  batch.micro_batches[1].documents_BS = at::tensor({0, 0, 1, 1, 2}, at::kLong).reshape({1, 5});
  EXPECT_THAT(attended_lengths(batch), ElementsAre(5, 5, 2, 2, 1));
}

}  // namespace
}  // namespace rialto::train
