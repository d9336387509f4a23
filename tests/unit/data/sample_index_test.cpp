// Properties that hold whatever the shuffle; Megatron's own indices are compared in tests/oracle/test_data.py.
#include "rialto/data/sample_index.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

const std::vector<int32_t> kLengths{5, 0, 12, 1, 7, 30, 2, 1, 1, 9};

TEST(SampleIndex, OneEpochShufflesDocumentsOnceAndCutsRunsThatOverlapByOne) {
  const SampleIndices indices = build_sample_indices(kLengths, 0, 10, 8, 0, 1234);
  std::vector<int32_t> sorted = indices.documents;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int32_t> all(10);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  ASSERT_EQ(indices.samples.size(), 2 * (67 / 8 + 1));  // 68 tokens

  // The starts, counted in tokens from the front, are 0, 8, 16, ...
  for (size_t s = 0; s < indices.samples.size() / 2; ++s) {
    int64_t before = indices.samples[2 * s + 1];
    for (int64_t place = 0; place < indices.samples[2 * s]; ++place) {
      before += kLengths[static_cast<size_t>(indices.documents[static_cast<size_t>(place)])];
    }
    EXPECT_EQ(before, static_cast<int64_t>(8 * s));
  }
}

TEST(SampleIndex, EpochsFollowFromTheSamplesAskedFor) {
  EXPECT_EQ(build_sample_indices(kLengths, 0, 10, 8, 8, 1).documents.size(), 10u);
  EXPECT_EQ(build_sample_indices(kLengths, 0, 10, 8, 9, 1).documents.size(), 20u);
  EXPECT_EQ(build_sample_indices(kLengths, 0, 10, 8, 16, 1).documents.size(), 20u);
  EXPECT_EQ(build_sample_indices(kLengths, 0, 10, 8, 17, 1).documents.size(), 30u);
}

TEST(SampleIndex, AShortLastEpochIsShuffledApart) {
  // 8 samples in the first epoch; of the second only 1 is asked for, fewer than 80 % of 8.
  const SampleIndices apart = build_sample_indices(kLengths, 0, 10, 8, 9, 1);
  const std::set<int64_t> first(apart.shuffle.begin(), apart.shuffle.begin() + 8);
  EXPECT_EQ(*first.rbegin(), 7);
  EXPECT_EQ(std::set(apart.documents.begin(), apart.documents.begin() + 10).size(), 10u);
  // 6 of 8 is at the threshold int(0.8 * 8) = 6 and no longer below it: all epochs are shuffled together.
  bool mixed = false;
  for (int64_t seed = 0; seed < 5; ++seed) {
    const SampleIndices together = build_sample_indices(kLengths, 0, 10, 8, 14, seed);
    const std::set<int64_t> front(together.shuffle.begin(), together.shuffle.begin() + 8);
    mixed |= *front.rbegin() > 7;
  }
  EXPECT_TRUE(mixed);
}

TEST(SampleIndex, TheSeedChoosesTheOrder) {
  const SampleIndices one = build_sample_indices(kLengths, 0, 10, 8, 30, 1),
                      again = build_sample_indices(kLengths, 0, 10, 8, 30, 1),
                      two = build_sample_indices(kLengths, 0, 10, 8, 30, 2);
  EXPECT_EQ(one.documents, again.documents);
  EXPECT_EQ(one.shuffle, again.shuffle);
  EXPECT_NE(one.documents, two.documents);
  EXPECT_NE(one.shuffle, two.shuffle);
}

TEST(SampleIndex, ARangeUsesItsDocumentsOnly) {
  const SampleIndices indices = build_sample_indices(kLengths, 4, 7, 4, 0, 5);
  EXPECT_EQ(std::set(indices.documents.begin(), indices.documents.end()), (std::set<int32_t>{4, 5, 6}));
}

TEST(SampleIndex, RefusesFewerTokensThanOneSample) {
  EXPECT_NO_THROW(build_sample_indices(kLengths, 0, 1, 4, 0, 1));
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [] { build_sample_indices(kLengths, 0, 1, 5, 0, 1); })
                .find("got 5, want 6"),
            std::string::npos);
  data_test::error_of(ErrorKind::kConfig, [] { build_sample_indices({}, 0, 0, 5, 0, 1); });
}

}  // namespace
}  // namespace rialto::data
