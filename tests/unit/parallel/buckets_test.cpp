// The cut of the flat buffers: it covers everything once, in whole shares, and knows when a bucket is complete.
#include "rialto/parallel/buckets.h"

#include <gtest/gtest.h>

#include "tests/unit/model/toy.h"

namespace rialto::parallel {
namespace {

class Buckets : public testing::TestWithParam<int> {
 protected:
  model::Weights weights_{model::toy_spec({}), spec::Layout{.dp = GetParam()}, {}, {at::kCPU, at::kFloat}, true};
};

TEST_P(Buckets, CoverTheBufferFromItsEndInWholeShares) {
  for (const int64_t size : {int64_t{1}, int64_t{1000}, int64_t{4096}, INT64_MAX}) {
    const std::vector<Bucket> buckets = plan_buckets(weights_, size, GetParam(), 1);
    int64_t end = weights_.flat_size();
    for (const Bucket& bucket : buckets) {
      EXPECT_EQ(bucket.end, end);
      EXPECT_GT(bucket.end, bucket.begin);
      EXPECT_EQ((bucket.end - bucket.begin) % GetParam(), 0);
      EXPECT_EQ((bucket.end - bucket.begin) % 128, 0);
      end = bucket.begin;
    }
    EXPECT_EQ(end, 0);
    EXPECT_EQ(buckets.size() == 1, size == INT64_MAX);
  }
}

TEST_P(Buckets, EveryElementHasOneOwner) {
  const std::vector<Bucket> buckets = plan_buckets(weights_, 1000, GetParam(), 1);
  std::vector<int> owners(static_cast<size_t>(weights_.flat_size()), 0);
  for (int rank = 0; rank < GetParam(); ++rank) {
    for (const Bucket& bucket : buckets) {
      const Range range = owned_part(bucket, rank, GetParam());
      for (int64_t i = range.begin; i < range.end; ++i) ++owners[static_cast<size_t>(i)];
    }
  }
  EXPECT_EQ(std::count(owners.begin(), owners.end(), 1), weights_.flat_size());
}

TEST_P(Buckets, AreCompleteWithTheirLowestLayer) {
  for (const Bucket& bucket : plan_buckets(weights_, 500, GetParam(), 1)) {
    for (const model::Weight& weight : weights_.all()) {
      if (weight.param.buffer || weight.offset >= bucket.end || weight.offset + weight.size <= bucket.begin) continue;
      if (weight.param.name.starts_with("embedding.")) EXPECT_EQ(bucket.first_layer, -1);
      if (weight.param.name.starts_with("decoder.layers.0.")) EXPECT_LE(bucket.first_layer, 0);
      if (weight.param.name.starts_with("decoder.layers.1.")) EXPECT_LE(bucket.first_layer, 1);
    }
  }
  const std::vector<Bucket> buckets = plan_buckets(weights_, 500, GetParam(), 1);
  EXPECT_GT(buckets.front().first_layer, 0);  // or nothing would ever start before the end
  EXPECT_EQ(buckets.back().first_layer, -1);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Buckets, testing::Values(2, 3, 4));

}  // namespace
}  // namespace rialto::parallel
