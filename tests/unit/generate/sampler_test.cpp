// Choosing tokens: greedy, temperature, top-k, top-p, repetition penalty.
#include "rialto/generate/sampler.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::generate {
namespace {

std::map<int64_t, int> draw(std::vector<float> logits, const Sampling& sampling, int count) {
  std::map<int64_t, int> counts;
  for (int i = 0; i < count; ++i) {
    std::vector<float> copy = logits;
    ++counts[pick_token(copy, {}, sampling, static_cast<uint64_t>(i))];
  }
  return counts;
}

Sampling sampled() {
  Sampling sampling;
  sampling.greedy = false;
  return sampling;
}

TEST(SamplerTest, GreedyTakesTheFirstOfEqualLogits) {
  std::vector<float> logits = {0, 3, 1, 3};
  EXPECT_EQ(pick_token(logits, {}, Sampling{}, 0), 1);
}

TEST(SamplerTest, NanIsNeverChosenAndNothingFiniteIsAnError) {
  std::vector<float> logits = {NAN, 1, NAN};
  EXPECT_EQ(pick_token(logits, {}, Sampling{}, 0), 1);
  std::vector<float> none = {NAN, NAN};
  EXPECT_THROW(pick_token(none, {}, Sampling{}, 0), Error);
  std::vector<float> infinite = {-INFINITY, -INFINITY};
  EXPECT_THROW(pick_token(infinite, {}, sampled(), 0), Error);
}

TEST(SamplerTest, FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const auto counts = draw(logits, sampled(), 4000);
  EXPECT_NEAR(counts.at(0) / 4000.0, 0.5, 0.03);
  EXPECT_NEAR(counts.at(1) / 4000.0, 0.3, 0.03);
}

TEST(SamplerTest, TopKAndTopPCutTheTail) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  Sampling sampling = sampled();
  sampling.top_k = 2;
  EXPECT_EQ(draw(logits, sampling, 500).size(), 2u);
  sampling = sampled();
  sampling.top_p = 0.6;  // 0.5 does not reach it, 0.5 + 0.3 does
  EXPECT_EQ(draw(logits, sampling, 500).size(), 2u);
  sampling.top_p = 1e-9;
  EXPECT_EQ(draw(logits, sampling, 100).size(), 1u);
}

TEST(SamplerTest, LowTemperatureIsNearlyGreedy) {
  Sampling sampling = sampled();
  sampling.temperature = 1e-3;
  EXPECT_EQ(draw({1.0f, 1.1f, 0.9f}, sampling, 200).at(1), 200);
}

TEST(SamplerTest, SeedAndStepDecideTheDraw) {
  Sampling sampling = sampled();
  const std::vector<float> logits(64, 0.0f);
  std::vector<int64_t> first, second, other;
  for (uint64_t step = 0; step < 16; ++step) {
    std::vector<float> a = logits, b = logits, c = logits;
    first.push_back(pick_token(a, {}, sampling, step));
    second.push_back(pick_token(b, {}, sampling, step));
    sampling.seed += 1;
    other.push_back(pick_token(c, {}, sampling, step));
    sampling.seed -= 1;
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST(SamplerTest, RepetitionPenaltyCountsEachSeenTokenOnce) {
  Sampling sampling;
  sampling.repetition_penalty = 2;
  const std::vector<int64_t> history = {0, 0, 0, 2};
  std::vector<float> logits = {4, 3, -1, -1.5};
  EXPECT_EQ(pick_token(logits, history, sampling, 0), 1);
  EXPECT_EQ(logits[0], 2);   // once, not three times
  EXPECT_EQ(logits[2], -2);  // a negative logit is multiplied
  EXPECT_EQ(logits[3], -1.5f);
}

}  // namespace
}  // namespace rialto::generate
