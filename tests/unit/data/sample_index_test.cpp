// Properties that hold whatever the shuffle; Megatron's own indices are compared in tests/oracle/test_samples.py.
#include "rialto/data/sample_index.h"

#include <algorithm>
#include <limits>
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

TEST(SampleIndex, StartsAreCountedIn64Bits) {
  // 2^40 tokens and more in 520 documents, cut where an offset needs more than 31 bits of tokens before it.
  const std::vector<int32_t> lengths(520, std::numeric_limits<int32_t>::max());
  const int64_t length = lengths.front(), seq_length = (int64_t{1} << 24) + 1;
  const SampleIndices indices = build_sample_indices(lengths, 0, 520, seq_length, 0, 1);
  ASSERT_EQ(indices.shuffle.size(), static_cast<size_t>((520 * length - 1) / seq_length));
  ASSERT_GT(520 * length, int64_t{1} << 40);
  for (size_t s = 0; s < indices.samples.size() / 2; ++s) {
    const int64_t start = static_cast<int64_t>(s) * seq_length;
    ASSERT_EQ(indices.samples[2 * s], start / length) << s;
    ASSERT_EQ(indices.samples[2 * s + 1], start % length) << s;
  }
  // 2^20 epochs of 2^40 tokens are more samples than memory; their number alone must not wrap around.
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig,
                                [&] { build_sample_indices(lengths, 0, 520, seq_length, int64_t{1} << 40, 1); })
                .find("64 bits"),
            std::string::npos);
}

TEST(SampleIndex, BlocksAreCutAsOneRun) {
  // Three blocks of documents, most of them shorter than a sample, some empty; samples cross the blocks.
  std::vector<int32_t> lengths(150000);
  for (size_t i = 0; i < lengths.size(); ++i) lengths[i] = static_cast<int32_t>(i * 7919 % 13);
  const SampleIndices indices = build_sample_indices(lengths, 0, 150000, 50, 0, 3);
  const int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  ASSERT_EQ(indices.samples.size(), static_cast<size_t>(2 * ((tokens - 1) / 50 + 1)));
  int64_t begin = 0;
  size_t sample = 1;
  for (size_t place = 0; place < indices.documents.size(); ++place) {
    const int64_t end = begin + lengths[static_cast<size_t>(indices.documents[place])];
    for (; 2 * sample < indices.samples.size() && static_cast<int64_t>(sample) * 50 < end; ++sample) {
      ASSERT_EQ(indices.samples[2 * sample], static_cast<int64_t>(place));
      ASSERT_EQ(indices.samples[2 * sample + 1], static_cast<int64_t>(sample) * 50 - begin);
    }
    begin = end;
  }
  EXPECT_EQ(2 * sample, indices.samples.size());
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
