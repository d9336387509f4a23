// Samples by number: tokens across documents, labels, masks and positions by document.
#include "rialto/data/gpt_dataset.h"

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;
class GptDatasetTest : public DataTest {};

constexpr int32_t kEod = 0;

/// Documents of consecutive numbers, each ended by kEod.
std::vector<std::vector<int32_t>> documents() {
  std::vector<std::vector<int32_t>> out;
  int32_t next = 1;
  for (const int length : {5, 3, 8, 1, 13, 40}) {
    out.emplace_back();
    for (int i = 1; i < length; ++i) out.back().push_back(next++);
    out.back().push_back(kEod);
  }
  return out;
}

TEST_F(GptDatasetTest, SamplesAreRunsOfTheDocumentsInIndexOrder) {
  const fs::path prefix = write_tokens("tokens", documents());
  const GptDataset dataset({.prefix = prefix, .seq_length = 6, .num_samples = 20, .seed = 7});
  const auto all = documents();
  std::vector<int32_t> flat;
  for (const int32_t document : dataset.document_index()) {
    const auto& tokens = all[static_cast<size_t>(document)];
    flat.insert(flat.end(), tokens.begin(), tokens.end());
  }
  ASSERT_GE(dataset.size(), 20);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Sample sample = dataset.get(i);
    const auto start = static_cast<std::ptrdiff_t>(6 * dataset.shuffle_index()[static_cast<size_t>(i)]);
    EXPECT_EQ(sample.tokens, std::vector<int32_t>(flat.begin() + start, flat.begin() + start + 6));
    EXPECT_EQ(sample.labels, std::vector<int32_t>(flat.begin() + start + 1, flat.begin() + start + 7));
    EXPECT_EQ(sample.positions, (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(sample.documents, std::vector<int32_t>(6, 0));
    EXPECT_EQ(sample.loss_weights, std::vector<float>(6, 1.0f));
  }
}

TEST_F(GptDatasetTest, TheSameNumberIsTheSameSample) {
  const fs::path prefix = write_tokens("tokens", documents());
  const GptDatasetOptions options{.prefix = prefix, .seq_length = 6, .num_samples = 30, .seed = 7};
  const GptDataset one(options), two(options);
  EXPECT_EQ(one.get(17).tokens, two.get(17).tokens);
  EXPECT_EQ(one.get(17).tokens, one.get(17).tokens);
}

TEST_F(GptDatasetTest, EndOfTextSplitsPositionsMasksAndLossWhenAsked) {
  const fs::path prefix = write_tokens("tokens", {{1, 2, kEod, 3, kEod, kEod, 4, 5, 6}});
  const GptDataset dataset({.prefix = prefix,
                            .seq_length = 8,
                            .eod_token = kEod,
                            .eod_mask_loss = true,
                            .reset_position_ids = true,
                            .reset_attention_mask = true});
  const Sample sample = dataset.get(0);
  EXPECT_EQ(sample.positions, (std::vector<int32_t>{0, 1, 2, 0, 1, 0, 0, 1}));
  EXPECT_EQ(sample.documents, (std::vector<int32_t>{0, 0, 0, 1, 1, 2, 3, 3}));
  EXPECT_EQ(sample.loss_weights, (std::vector<float>{1, 1, 0, 1, 0, 0, 1, 1}));
}

TEST_F(GptDatasetTest, RefusesWhatCannotBeServed) {
  const fs::path prefix = write_tokens("tokens", documents());
  const auto refused = [&](GptDatasetOptions options) {
    options.prefix = prefix;
    return data_test::error_of(ErrorKind::kConfig, [&] { GptDataset dataset(options); });
  };
  EXPECT_NE(refused({.seq_length = 0}).find("sequence length"), std::string::npos);
  EXPECT_NE(refused({.seq_length = 70}).find("fewer tokens"), std::string::npos);
  EXPECT_NE(refused({.seq_length = 4, .first_document = 3, .last_document = 7}).find("inside 0 to 6"),
            std::string::npos);
  EXPECT_NE(refused({.seq_length = 4, .eod_mask_loss = true}).find("end-of-text"), std::string::npos);
  EXPECT_NE(refused({.seq_length = 4, .seed = -1}).find("seed"), std::string::npos);
  const GptDataset dataset({.prefix = prefix, .seq_length = 6});
  data_test::error_of(ErrorKind::kInternal, [&] { dataset.get(dataset.size()); });
  data_test::error_of(ErrorKind::kInternal, [&] { dataset.get(-1); });
}

}  // namespace
}  // namespace rialto::data
