// Samples of fine-tuning rows: padding, order, epochs, cache, what a section asks for.
#include <set>

#include "rialto/data/ledger.h"
#include "rialto/data/open_datasets.h"
#include "rialto/data/open_sft.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::error_of;
using data_test::sample_text;

class SftDatasetTest : public data_test::DataTest {
 protected:
  SftDatasetTest() {
    bool given = false;
    write("tok/tokenizer.json", hub::train_bpe({.vocab_size = 300}, [&](std::string& text) {
            return !std::exchange(given, true) && (text = sample_text(30), true);
          }));
    write("tok/tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
    section_.dataset_root = (dir_ / "rows").string();
    std::string text;
    for (int i = 0; i < 7; ++i)
      text += R"({"prompt": "p", "completion": ")" + std::string(1, static_cast<char>('a' + i)) + "\"}\n";
    write("rows/training.jsonl", text);
  }
  DatasetOpener opener() const {
    return {section_, {.seq_length = length_, .ops = &real_file_ops(), .tokenizer = dir_ / "tok"}};
  }
  std::unique_ptr<Dataset> open(int64_t samples = 0) const { return opener().open(Part::kTrain, samples); }
  config::DatasetSection section_;
  int64_t length_ = 5;
};

TEST_F(SftDatasetTest, ARowIsASampleWithPaddingThatCarriesNoLoss) {
  section_.max_train_samples = 1;
  const hub::Tokenizer tokenizer(dir_ / "tok");
  const int32_t p = tokenizer.encode("p", false).front(), a = tokenizer.encode("a", false).front();
  const Sample sample = open()->get(0);  // p a <eos>
  EXPECT_EQ(sample.tokens, (std::vector<int32_t>{p, a, 0, 0, 0}));
  EXPECT_EQ(sample.labels, (std::vector<int32_t>{a, 0, 0, 0, 0}));
  EXPECT_EQ(sample.loss_weights, (std::vector<float>{1, 1, 0, 0, 0}));
  EXPECT_EQ(sample.positions, (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(sample.documents, (std::vector<int32_t>{0, 0, 0, 0, 0}));
  section_.loss_mode = "full";
  EXPECT_EQ(open()->get(0).loss_weights, (std::vector<float>{1, 1, 0, 0, 0}));
}

TEST_F(SftDatasetTest, EachEpochHasEveryRowOnceInAnOrderOfItsOwn) {
  const auto dataset = open(21);
  EXPECT_EQ(dataset->size(), 21);
  std::vector<std::vector<int64_t>> epochs(3);
  for (int64_t i = 0; i < 21; ++i) epochs[static_cast<size_t>(i / 7)].push_back(dataset->start(i).document);
  for (const auto& epoch : epochs) EXPECT_EQ(std::set<int64_t>(epoch.begin(), epoch.end()).size(), 7u);
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  // backwards, and by another run that asks for more: the same
  const auto more = open(70);
  for (int64_t i = 20; i >= 0; --i) {
    EXPECT_EQ(more->get(i).tokens, dataset->get(i).tokens);
    EXPECT_EQ(dataset->start(i).document, epochs[static_cast<size_t>(i / 7)][static_cast<size_t>(i % 7)]);
  }
  section_.random_seed = 1;
  EXPECT_NE(order_of(*open(21), 21), order_of(*dataset, 21));
  EXPECT_THROW(dataset->get(21), Error);
}

TEST_F(SftDatasetTest, TheLedgerCountsRowsAndTheirTokens) {
  const auto dataset = open(21);
  const std::vector<Consumed> consumed = dataset->consumed(10);
  ASSERT_EQ(consumed.size(), 1u);
  EXPECT_TRUE(consumed[0].source.ends_with("training.jsonl"));
  EXPECT_EQ(consumed[0].samples, 10);
  EXPECT_EQ(consumed[0].tokens, 30);
  EXPECT_DOUBLE_EQ(consumed[0].epochs, 10.0 / 7);
}

TEST_F(SftDatasetTest, EvaluationReadsItsOwnFileAsItStands) {
  write("rows/validation.jsonl",
        "{\"prompt\": \"p\", \"completion\": \"x\"}\n{\"prompt\": \"p\", \"completion\": \"y\"}\n");
  DatasetOpener opener = this->opener();
  EXPECT_TRUE(opener.has(Part::kValid));
  EXPECT_FALSE(opener.has(Part::kTest));
  const auto dataset = opener.open(Part::kValid, 4);
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(dataset->start(i).document, i % 2);
  EXPECT_NE(error_of(ErrorKind::kConfig, [&] { opener.open(Part::kTest, 1); }).find("test.jsonl"), std::string::npos);
}

TEST_F(SftDatasetTest, TheCacheIsUsedForTheSameRowsOnly) {
  section_.path_to_cache = (dir_ / "cache").string();
  const auto files = [&] { return std::distance(fs::directory_iterator(dir_ / "cache"), fs::directory_iterator{}); };
  const std::vector<int32_t> first = open()->get(3).tokens;
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(open()->get(3).tokens, first);
  EXPECT_EQ(files(), 1);
  length_ = 6;
  open();
  EXPECT_EQ(files(), 2);
  section_.loss_mode = "full";
  open();
  EXPECT_EQ(files(), 3);
  write("rows/training.jsonl", "{\"prompt\": \"p\", \"completion\": \"z\"}\n");
  EXPECT_EQ(open(2)->get(0).tokens, open(2)->get(1).tokens);
  EXPECT_EQ(files(), 4);
}

TEST_F(SftDatasetTest, LongRowsAndBadOnesAreNamedAtTheStart) {
  length_ = 3;
  write("rows/training.jsonl",
        "{\"prompt\": \"p\", \"completion\": \"z\"}\n{\"prompt\": \"p\", \"completion\": \"abcdef\"}\n");
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { open(); }).find("training.jsonl:2"), std::string::npos);
  section_.truncation = "right";
  EXPECT_EQ(open()->size(), 2);
  section_.truncation = "drop";
  EXPECT_EQ(open()->size(), 1);
  write("rows/training.jsonl", "{\"prompt\": \"p\", \"completion\": \"abcdef\"}\n");
  EXPECT_NE(error_of(ErrorKind::kConfig, [&] { open(); }).find("no row to train on"), std::string::npos);
}

TEST_F(SftDatasetTest, ATokenizerMustBeKnown) {
  DatasetOpener opener(section_, {.seq_length = 5});
  EXPECT_NE(error_of(ErrorKind::kConfig, [&] { opener.open(Part::kTrain, 0); }).find("tokenizer.tokenizer_model"),
            std::string::npos);
}

}  // namespace
}  // namespace rialto::data
