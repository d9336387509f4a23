// What counts as equal logits.
#include "rialto/train/compare_logits.h"

#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::train {
namespace {

using testing::HasSubstr;

/// Two rows of two positions and three ids, of which `b` has one logit moved by `delta`.
LogitsComparison compare(float delta, float scale = 1) {
  const std::vector<float> first = {1, 2, 3, 3, 2, 1}, second = {0, 5 * scale, 1, 4, 0, 2};
  std::vector<float> moved = second;
  moved[5] += delta;
  LogitsComparison comparison(3);
  comparison.add_row(first, first);
  comparison.add_row(second, moved);
  return comparison;
}

TEST(LogitsComparison, EqualBits) {
  const LogitsComparison same = compare(0);
  EXPECT_EQ(same.max_difference(), 0);
  EXPECT_TRUE(same.within(0));
  EXPECT_EQ(same.positions(), 4);
  EXPECT_EQ(same.same_top(), 4);
  EXPECT_THAT(to_text(same, kLogitsTolerance), HasSubstr("equal logits: at most 0 apart"));
}

TEST(LogitsComparison, SaysWhereTheLargestDifferenceIs) {
  const LogitsComparison moved = compare(-0.5F);
  ASSERT_TRUE(moved.largest());
  EXPECT_EQ(moved.largest()->row, 1);
  EXPECT_EQ(moved.largest()->position, 1);
  EXPECT_EQ(moved.largest()->token, 2);
  EXPECT_EQ(moved.largest()->a, 2.0);
  EXPECT_EQ(moved.largest()->b, 1.5);
  EXPECT_EQ(moved.max_difference(), 0.5);
  EXPECT_FALSE(moved.within(kLogitsTolerance));
  EXPECT_EQ(to_text(moved, kLogitsTolerance),
            "different logits: at most 0.5 apart (allowed 5e-05), at row 1, position 1, id 2 (2 and 1.5); the same top "
            "token at 4 of 4 positions");
  const Json json = to_json(moved, kLogitsTolerance);
  EXPECT_FALSE(json["equal"].get<bool>());
  EXPECT_EQ(json["at"]["position"], 1);
  EXPECT_EQ(json["max_difference"], 0.5);
}

TEST(LogitsComparison, OfEqualDifferencesTheFirstIsNamed) {
  LogitsComparison comparison(2);
  comparison.add_row(std::vector<float>{0, 1, 2, 3}, std::vector<float>{0, 3, 4, 3});
  ASSERT_TRUE(comparison.largest());
  EXPECT_EQ(comparison.largest()->position, 0);
  EXPECT_EQ(comparison.largest()->token, 1);
}

TEST(LogitsComparison, AllowsAFractionOfTheLargestLogitButNoLessThanOfOne) {
  EXPECT_TRUE(compare(4e-5F).within(1e-5)) << "5 is the largest logit";
  EXPECT_FALSE(compare(6e-5F).within(1e-5));
  EXPECT_TRUE(compare(6e-5F, 2).within(1e-5)) << "and now 10";
  LogitsComparison small(2);
  small.add_row(std::vector<float>{0.001F, 0}, std::vector<float>{0.001F, 9e-6F});
  EXPECT_TRUE(small.within(1e-5));
  EXPECT_FALSE(small.within(1e-6));
}

TEST(LogitsComparison, CountsPositionsWithAnotherTopToken) {
  const LogitsComparison moved = compare(2.5F);
  EXPECT_EQ(moved.same_top(), 3);
  EXPECT_EQ(to_json(moved, 1)["same_top"], 3);
}

TEST(LogitsComparison, WhatIsNotFiniteIsEqualToNothing) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    LogitsComparison comparison(2);
    comparison.add_row(std::vector<float>{1, 2, 3, bad}, std::vector<float>{1, 2, 3, bad});
    ASSERT_TRUE(comparison.not_finite());
    EXPECT_EQ(comparison.not_finite()->position, 1);
    EXPECT_EQ(comparison.not_finite()->token, 1);
    EXPECT_FALSE(comparison.within(1e30));
    EXPECT_THAT(to_text(comparison, 1), HasSubstr("different logits: one is not finite at row 0, position 1, id 1"));
    EXPECT_TRUE(to_json(comparison, 1)["not_finite"]["a"].is_string());
  }
}

TEST(LogitsComparison, NothingComparedIsNothingProven) { EXPECT_FALSE(LogitsComparison(3).within(1)); }

TEST(LogitsComparison, RefusesRowsThatDoNotFit) {
  LogitsComparison comparison(3);
  EXPECT_THROW(comparison.add_row(std::vector<float>(6), std::vector<float>(3)), Error);
  EXPECT_THROW(comparison.add_row(std::vector<float>(4), std::vector<float>(4)), Error);
}

}  // namespace
}  // namespace rialto::train
