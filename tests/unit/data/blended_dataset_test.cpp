// Order and shares of a blend; Megatron's own indices are compared in tests/oracle/test_samples.py.
#include "rialto/data/blended_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rialto/data/blending_index.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using testing::ElementsAre;

/// `size` samples whose one token says which source and which sample it is.
class Numbered : public Dataset {
 public:
  Numbered(int32_t source, int64_t size) : source_(source), size_(size) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    Sample sample;
    sample.tokens = {source_ * 100 + static_cast<int32_t>(index)};
    return sample;
  }
  SampleStart start(int64_t index) const override { return {.document = index}; }
  std::vector<Consumed> consumed(int64_t count) const override { return {{std::to_string(source_), count, count, 0}}; }

 private:
  int32_t source_;
  int64_t size_;
};

std::vector<std::unique_ptr<Dataset>> sources(const std::vector<int64_t>& sizes) {
  std::vector<std::unique_ptr<Dataset>> out;
  for (size_t i = 0; i < sizes.size(); ++i)
    out.push_back(std::make_unique<Numbered>(static_cast<int32_t>(i + 1), sizes[i]));
  return out;
}

std::vector<int32_t> tokens(const Dataset& dataset) {
  std::vector<int32_t> out;
  for (int64_t i = 0; i < dataset.size(); ++i) out.push_back(dataset.get(i).tokens.front());
  return out;
}

TEST(BlendingIndex, TheSourceFurthestBehindItsWeightIsNext) {
  const BlendingIndex index = blend_by_weight(std::vector<double>{0.5, 0.25, 0.25}, 8);
  EXPECT_THAT(index.sources, ElementsAre(0, 1, 2, 0, 0, 1, 2, 0));
  EXPECT_THAT(index.samples, ElementsAre(0, 0, 0, 1, 2, 1, 1, 3));
}

TEST(BlendingIndex, EverythingIsGivenOnce) {
  const BlendingIndex index = blend_everything(std::vector<int64_t>{3, 1, 2});
  EXPECT_THAT(index.sources, ElementsAre(0, 2, 1, 0, 2, 0));
  EXPECT_THAT(index.samples, ElementsAre(0, 0, 0, 1, 1, 2));
}

TEST(BlendedDataset, ServesItsSourcesSamplesInOrder) {
  const BlendedDataset blend(sources({10, 10}), {3.0, 1.0}, 8, {});
  EXPECT_THAT(tokens(blend), ElementsAre(100, 200, 101, 102, 103, 201, 104, 105));
  data_test::error_of(ErrorKind::kInternal, [&] { blend.get(8); });
  data_test::error_of(ErrorKind::kInternal, [&] { blend.get(-1); });
  EXPECT_THAT(tokens(BlendedDataset(sources({1, 2}), {})), ElementsAre(200, 100, 201));
}

TEST(BlendedDataset, CountsWhatEachSourceHasGiven) {
  const BlendedDataset blend(sources({10, 10}), {3.0, 1.0}, 8, {});
  const auto given = [&](int64_t count) {
    std::vector<int64_t> out;
    for (const Consumed& row : blend.consumed(count)) out.push_back(row.samples);
    return out;
  };
  EXPECT_THAT(given(0), ElementsAre(0, 0));
  EXPECT_THAT(given(5), ElementsAre(4, 1));
  EXPECT_THAT(given(8), ElementsAre(6, 2));
  EXPECT_EQ(blend.consumed(1)[1].source, "2");
  data_test::error_of(ErrorKind::kInternal, [&] { blend.consumed(9); });
}

TEST(BlendedDataset, RefusesASourceThatIsTooSmall) {
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [] { BlendedDataset(sources({10, 1}), {3.0, 1.0}, 8, {}); })
                .find("[2] the blend asks for more samples than it has"),
            std::string::npos);
  data_test::error_of(ErrorKind::kConfig, [] { BlendedDataset(sources({}), std::vector<double>{}, 8, {}); });
}

}  // namespace
}  // namespace rialto::data
