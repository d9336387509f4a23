// Made-up rows.
#include "rialto/data/mock_rows.h"

#include <set>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

TEST(MockRows, ACopyIsWhatStandsBeforeIt) {
  const MockOptions options{.task = MockTask::kCopy, .length = 5, .vocab_size = 12};
  std::set<std::vector<int32_t>> seen;
  for (uint64_t i = 0; i < 50; ++i) {
    const TokenRow row = mock_row(options, i);
    ASSERT_EQ(row.ids.size(), 12u);
    EXPECT_EQ(row.mask, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}));
    for (size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(row.ids[k], row.ids[k + 6]);
      EXPECT_GE(row.ids[k], 2);
      EXPECT_LT(row.ids[k], 12);
    }
    EXPECT_EQ(row.ids[5], 1);
    EXPECT_EQ(row.ids[11], 0);
    EXPECT_EQ(mock_row(options, i).ids, row.ids);
    seen.insert(row.ids);
  }
  EXPECT_GT(seen.size(), 45u);
  MockOptions other = options;
  other.seed = 9;
  EXPECT_NE(mock_row(other, 0).ids, mock_row(options, 0).ids);
}

TEST(MockRows, ANeedleIsTheValueOfTheKeyThatIsAsked) {
  const MockOptions options{.task = MockTask::kNeedle, .length = 4, .vocab_size = 21};
  std::set<size_t> places;
  for (uint64_t i = 0; i < 100; ++i) {
    const TokenRow row = mock_row(options, i);
    ASSERT_EQ(row.ids.size(), 12u);
    EXPECT_EQ(row.mask, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}));
    std::set<int32_t> keys;
    size_t asked = 9;
    for (size_t k = 0; k < 4; ++k) {
      keys.insert(row.ids[2 * k]);
      EXPECT_TRUE(row.ids[2 * k] >= 2 && row.ids[2 * k] < 11) << row.ids[2 * k];
      EXPECT_TRUE(row.ids[2 * k + 1] >= 11 && row.ids[2 * k + 1] < 21) << row.ids[2 * k + 1];
      if (row.ids[2 * k] == row.ids[9]) asked = k;
    }
    EXPECT_EQ(keys.size(), 4u);
    ASSERT_LT(asked, 4u);
    EXPECT_EQ(row.ids[10], row.ids[2 * asked + 1]);
    places.insert(asked);
  }
  EXPECT_EQ(places.size(), 4u);
}

TEST(MockRows, WhatCannotBeDrawnIsRefused) {
  EXPECT_THROW(check_mock({.length = 0}), Error);
  EXPECT_THROW(check_mock({.vocab_size = 3}), Error);
  EXPECT_THROW(check_mock({.task = MockTask::kNeedle, .length = 5, .vocab_size = 10}), Error);
  EXPECT_NO_THROW(check_mock({.task = MockTask::kNeedle, .length = 4, .vocab_size = 10}));
}

}  // namespace
}  // namespace rialto::data
