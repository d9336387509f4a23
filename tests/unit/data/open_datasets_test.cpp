// Parts of a run's data: which blend, which documents, what is refused.
#include "rialto/data/open_datasets.h"

#include <set>

#include <gtest/gtest.h>

#include "rialto/data/blended_dataset.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

class OpenDatasetsTest : public data_test::DataTest {
 protected:
  /// 20 documents of 10 tokens, every token `base` plus the document's number.
  std::string corpus(const std::string& name, int32_t base) {
    std::vector<std::vector<int32_t>> documents;
    for (int32_t i = 0; i < 20; ++i) documents.emplace_back(10, base + i);
    return write_tokens(name, documents).string();
  }
  static std::set<int32_t> tokens(const Dataset& dataset) {
    std::set<int32_t> out;
    for (int64_t i = 0; i < dataset.size(); ++i) {
      const Sample sample = dataset.get(i);
      out.insert(sample.tokens.begin(), sample.tokens.end());
    }
    return out;
  }
  std::unique_ptr<Dataset> open(const config::DatasetSection& section, Part part, int64_t num_samples) {
    return DatasetOpener(section, {.seq_length = 5, .ops = &real_file_ops()}).open(part, num_samples);
  }
  static bool has(const config::DatasetSection& section, Part part) {
    return DatasetOpener(section, {.seq_length = 5}).has(part);
  }
  std::string refused(const config::DatasetSection& section, Part part, int64_t num_samples) {
    return data_test::error_of(ErrorKind::kConfig, [&] { open(section, part, num_samples); });
  }
  std::string a_ = corpus("a", 100), b_ = corpus("b", 200);
};

TEST_F(OpenDatasetsTest, OneSourceIsSplit) {
  config::DatasetSection section;
  section.data_path = {a_};
  section.split = "5,3,2";
  EXPECT_EQ(*tokens(*open(section, Part::kTrain, 0)).rbegin(), 109);
  EXPECT_EQ(*tokens(*open(section, Part::kValid, 0)).begin(), 110);
  EXPECT_EQ(*tokens(*open(section, Part::kTest, 0)).begin(), 116);
  EXPECT_TRUE(has(section, Part::kTest));
  section.split = "98,1,1";  // of 20 documents: 20, 0 and 0
  EXPECT_FALSE(has(section, Part::kTest));
}

TEST_F(OpenDatasetsTest, APartOfItsOwnIsNotSplit) {
  config::DatasetSection section;
  section.data_path = {a_};
  section.valid_data_path = {b_};
  EXPECT_EQ(tokens(*open(section, Part::kTrain, 0)).size(), 20u);
  EXPECT_EQ(*tokens(*open(section, Part::kValid, 0)).begin(), 200);
  EXPECT_TRUE(has(section, Part::kValid));
  EXPECT_FALSE(has(section, Part::kTest));
}

TEST_F(OpenDatasetsTest, WeightsGiveEachSourceItsShare) {
  config::DatasetSection section;
  section.data_path = {"3", a_, "1", b_};
  section.split = "1";
  const auto blend = open(section, Part::kTrain, 400);  // several epochs of each
  EXPECT_EQ(blend->size(), 400);
  const auto rows = blend->consumed(100);
  EXPECT_EQ(rows[0].source, a_);
  EXPECT_NEAR(static_cast<double>(rows[0].samples), 75, 1);
  EXPECT_EQ(rows[0].samples + rows[1].samples, 100);
  EXPECT_EQ(rows[0].tokens, 5 * rows[0].samples);
  EXPECT_DOUBLE_EQ(rows[0].epochs, static_cast<double>(rows[0].tokens) / 200);
}

TEST_F(OpenDatasetsTest, ACacheServesTheSameSamples) {
  config::DatasetSection section;
  section.data_path = {"3", a_, "1", b_};
  const auto in_memory = open(section, Part::kTrain, 300);
  section.path_to_cache = (dir_ / "cache").string();
  for (int i = 0; i < 2; ++i) {
    const auto cached = open(section, Part::kTrain, 300);
    for (int64_t sample = 0; sample < 300; ++sample)
      ASSERT_EQ(cached->get(sample).tokens, in_memory->get(sample).tokens);
  }
  // Other data under the same name has an index of its own.
  corpus("a", 300);
  write_tokens("a", {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {10, 11}});
  section.data_path = {a_};
  section.split = "1";
  EXPECT_EQ(open(section, Part::kTrain, 0)->size(), 2);
}

TEST_F(OpenDatasetsTest, RefusesWhatCannotBeServed) {
  config::DatasetSection section;
  section.data_path = {a_, b_};
  section.split = "1";
  EXPECT_EQ(open(section, Part::kTrain, 0)->size(), 2 * 39);
  EXPECT_NE(refused(section, Part::kTrain, 2 * 39 + 1).find("give a weight"), std::string::npos);
  EXPECT_NE(refused(section, Part::kValid, 1).find("leaves no document"), std::string::npos);
  section.split = "19,1,0";
  section.data_path = {"1", a_, "1", write_tokens("c", {{1, 2, 3, 4}, {5}}).string()};
  EXPECT_NE(refused(section, Part::kTrain, 10).find(dir_.string() + "/c] has fewer tokens"), std::string::npos);
  section.data_path = {"1", a_, "2", b_};
  EXPECT_NE(refused(section, Part::kTrain, 0).find("a blend by weight has no epochs"), std::string::npos);
  section.data_path = {"1", a_, "2", "/nowhere"};
  data_test::error_of(ErrorKind::kInput, [&] { open(section, Part::kTrain, 10); });
}

}  // namespace
}  // namespace rialto::data
