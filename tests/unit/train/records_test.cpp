// Megatron's lines, to the letter.
#include "rialto/train/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rialto::train {
namespace {

StepRecord record() {
  StepRecord record;
  record.iteration = 10;
  record.consumed_samples = 320;
  record.loss = 10.5;
  record.learning_rate = 9e-5;
  record.next_learning_rate = 1e-4;
  record.grad_norm = 1.2345;
  record.global_batch_size = 32;
  record.num_tokens = 1024;
  record.elapsed_ms = 512;
  record.flops = 1e12;
  return record;
}

TEST(RecordsTest, StepLineIsMegatrons) {
  EXPECT_EQ(
      step_line(record(), 10.25, 500.06, 328.44, 100, "2026-01-31 12:00:00"),
      " [2026-01-31 12:00:00] iteration       10/     100 | consumed samples:          320 | elapsed time per "
      "iteration (ms): 500.1 |"
      " throughput per GPU (TFLOP/s/GPU): 328.4 | learning rate: 1.000000E-04 | global batch size:    32 | lm loss: "
      "1.025000E+01 |"
      " loss scale: 1.0 | grad norm: 1.234 | number of skipped iterations:   0 | number of nan iterations:   0 |");
}

TEST(RecordsTest, LossesOfPredictionBlocksHaveMegatronsNames) {
  StepRecord with = record();
  with.extra.mtp = {3.5, 4.25};
  EXPECT_EQ(to_json(with)["mtp_1 loss"], 3.5);
  EXPECT_EQ(to_json(with)["mtp_2 loss"], 4.25);
  EXPECT_FALSE(to_json(record()).contains("mtp_1 loss"));
  EXPECT_THAT(step_line(with, 10.25, 1, 1, 1, {}, {{"mtp_1 loss", 3.0}, {"mtp_2 loss", 4.0}}),
              testing::HasSubstr(" lm loss: 1.025000E+01 | mtp_1 loss: 3.000000E+00 | mtp_2 loss: 4.000000E+00 |"));
}

TEST(RecordsTest, OptionalFieldsStandWhereMegatronHasThem) {
  StepRecord with = record();
  with.num_zeros = 12;
  with.params_norm = 34.5678;
  const std::string line = step_line(with, 10.25, 500.06, {}, 100);
  EXPECT_THAT(line,
              testing::HasSubstr(" | grad norm: 1.234 | num zeros: 12 | params norm: 34.568 | number of skipped"));
  EXPECT_THAT(line, testing::HasSubstr("(ms): 500.1 | learning rate:"));  // no throughput unless asked for
  EXPECT_EQ(to_json(with)["num zeros"], 12);
  EXPECT_EQ(to_json(with)["params norm"], 34.5678);
}

TEST(RecordsTest, UtilizationIsExactFlopsOverThePeak) {
  StepRecord step = record();
  step.elapsed_ms = 500;
  step.exact_flops = 1e12;
  EXPECT_EQ(to_json(step)["time"]["exact_tflops_per_s"], 2.0);
  EXPECT_FALSE(to_json(step)["time"].contains("model_flops_utilization"));
  step.peak_tflops = 8;
  EXPECT_EQ(to_json(step)["time"]["model_flops_utilization"], 0.25);
}

TEST(RecordsTest, TimestampIsNowWhenNoneIsGiven) {
  EXPECT_THAT(step_line(record(), 1, 1, 1, 1),
              testing::MatchesRegex(" \\[[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\] iteration .*"));
}

TEST(RecordsTest, EvalLinesAreFramedByDashes) {
  EvalRecord eval;
  eval.iteration = 100;
  eval.loss = 2.0;
  const std::string line =
      " validation loss at iteration 100 | lm loss value: 2.000000E+00 | lm loss PPL: 7.389056E+00 | ";
  const std::string dashes(line.size() + 1, '-');
  EXPECT_EQ(eval_lines(eval), dashes + "\n" + line + "\n" + dashes);
  eval.loss = 50;  // Megatron caps the exponent at 20
  eval.part = EvalPart::kValidationAtEnd;
  EXPECT_THAT(eval_lines(eval), testing::AllOf(testing::HasSubstr("iteration 100 on validation set"),
                                               testing::HasSubstr("PPL: 4.851652E+08")));
}

TEST(RecordsTest, JsonKeepsEveryBitAndTimesApart) {
  StepRecord step = record();
  step.loss = 1.0 / 3;
  const Json json = Json::parse(to_json(step).dump());
  EXPECT_EQ(json["lm loss"].get<double>(), 1.0 / 3);
  EXPECT_EQ(json["kind"], "train");
  EXPECT_EQ(json["learning rate"].get<double>(), 9e-5);
  Json first = to_json(step);
  step.elapsed_ms = 3;
  Json second = to_json(step);
  EXPECT_NE(first, second);
  first.erase("time");
  second.erase("time");
  EXPECT_EQ(first, second);
}

TEST(RecordsTest, ExtraLossesStandOnlyWhereThereAreSome) {
  StepRecord step = record();
  for (const char* key : {"load_balancing_loss", "z_loss", "mtp_1 loss"})
    EXPECT_FALSE(to_json(step).contains(key)) << key;
  step.extra = {.load_balancing = 1.25, .z = 0.0, .mtp = {9.5}};
  const Json json = to_json(step);
  EXPECT_EQ(json["load_balancing_loss"].get<double>(), 1.25);
  EXPECT_EQ(json["z_loss"].get<double>(), 0.0);
  EXPECT_EQ(json["mtp_1 loss"].get<double>(), 9.5);
}

}  // namespace
}  // namespace rialto::train
