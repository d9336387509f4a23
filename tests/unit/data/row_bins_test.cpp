// Bins of rows that are packed as they are read.
#include "rialto/data/row_bins.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

/// Where rows of these lengths begin.
std::vector<int64_t> starts_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> starts{0};
  for (const int64_t length : lengths) starts.push_back(starts.back() + length);
  return starts;
}

std::vector<int64_t> drawn_lengths(size_t count) {
  std::vector<int64_t> lengths;
  uint32_t state = 7;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    lengths.push_back(2 + (state >> 20) % 30);
  }
  return lengths;
}

TEST(RowBins, EveryEpochHasEveryRowOnceAndNoBinIsTooFull) {
  const std::vector<int64_t> lengths = drawn_lengths(1000), starts = starts_of(lengths);
  const RowBins bins(starts, {.capacity = 64, .multiple = 4, .window = 100});
  std::vector<std::vector<int64_t>> orders;
  int64_t index = 0;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> rows;
    for (int64_t bin = 0; bin < bins.bins_of(epoch); ++bin, ++index) {
      const RowBins::Place place = bins.place(index);
      ASSERT_EQ(place.epoch, epoch);
      ASSERT_EQ(place.bin, bin);
      int64_t room = 0;
      for (const int64_t row : bins.rows(place)) {
        room += (lengths[static_cast<size_t>(row)] - 1 + 3) / 4 * 4;
        rows.push_back(row);
      }
      ASSERT_LE(room, 64);
    }
    EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 1000u);
    EXPECT_EQ(rows.size(), 1000u);
    orders.push_back(rows);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST(RowBins, ABinIsTheSameWhoeverAsksAndWhen) {
  const std::vector<int64_t> lengths = drawn_lengths(300), starts = starts_of(lengths);
  const RowBinsOptions options{.capacity = 50, .window = 64};
  const RowBins forwards(starts, options), late(starts, options);
  std::vector<std::vector<int64_t>> seen;
  for (int64_t i = 0; i < 400; ++i) seen.push_back(forwards.rows(forwards.place(i)));
  for (const int64_t i : {399, 5, 250, 0, 398}) EXPECT_EQ(late.rows(late.place(i)), seen[static_cast<size_t>(i)]);
  RowBinsOptions other = options;
  other.seed = 5;
  const RowBins seeded(starts, other);
  EXPECT_NE(seeded.rows(seeded.place(0)), seen[0]);
}

TEST(RowBins, RowsOfABinLieWithinAWindow) {
  const std::vector<int64_t> starts = starts_of(drawn_lengths(500));
  const RowBins bins(starts, {.capacity = 100, .window = 50, .shuffled = false});
  for (int64_t bin = 0; bin < bins.bins_of(0); ++bin) {
    const std::vector<int64_t> rows = bins.rows({0, bin});
    for (const int64_t row : rows) EXPECT_EQ(row / 50, rows.front() / 50);
  }
  const RowBins whole(starts, {.capacity = 100, .window = 0, .shuffled = false});
  EXPECT_LT(whole.bins_of(0), bins.bins_of(0));  // a window leaves a bin that is not full
}

TEST(RowBins, ARowThatFitsNoBinIsNamed) {
  const std::vector<int64_t> starts = starts_of({5, 12});
  try {
    const RowBins bins(starts, {.capacity = 10});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(error.what()).find("row 1"), std::string::npos);
  }
  EXPECT_EQ(RowBins(starts, {.capacity = 11}).bins_of(0), 2);
}

}  // namespace
}  // namespace rialto::data
