// What a run has read: shares, order, lines.
#include "rialto/data/ledger.h"

#include "rialto/data/blended_dataset.h"
#include "rialto/data/gpt_dataset.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

class LedgerTest : public data_test::DataTest {
 protected:
  std::unique_ptr<Dataset> source(const std::string& name, int64_t seed, int64_t num_samples) const {
    return std::make_unique<GptDataset>(
        GptDatasetOptions{.prefix = dir_ / name, .seq_length = 5, .num_samples = num_samples, .seed = seed});
  }
  std::unique_ptr<Dataset> blend(double a, double b) const {
    std::vector<std::unique_ptr<Dataset>> sources;
    sources.push_back(source("a", 1, 400));
    sources.push_back(source("b", 1, 400));
    return std::make_unique<BlendedDataset>(std::move(sources), std::vector<double>{a, b}, 400, IndexCache{});
  }
  void SetUp() override {
    std::vector<std::vector<int32_t>> documents;
    for (int32_t i = 0; i < 20; ++i) documents.emplace_back(7 + i % 5, i);
    write_tokens("a", documents);
    write_tokens("b", documents);
  }
};

TEST_F(LedgerTest, ASampleStartsWhereItsFirstTokenStands) {
  for (const auto& dataset : {source("a", 3, 200), blend(3, 1)}) {
    for (int64_t i = 0; i < dataset->size(); ++i) {
      const SampleStart start = dataset->start(i);
      // every token of a document is its number, so the first token says which document it is
      ASSERT_EQ(dataset->get(i).tokens.front(), start.document) << i;
      ASSERT_LT(start.offset, 7 + start.document % 5);
      ASSERT_LE(start.source, 1);
    }
    data_test::error_of(ErrorKind::kInternal, [&] { dataset->start(dataset->size()); });
    data_test::error_of(ErrorKind::kInternal, [&] { dataset->start(-1); });
  }
  const auto mixed = blend(3, 1);
  EXPECT_EQ(mixed->start(0).source, 0);
  EXPECT_EQ(mixed->start(1).source + mixed->start(2).source + mixed->start(3).source, 1);
}

TEST_F(LedgerTest, TheSameReadingHasTheSameOrder) {
  const std::string order = order_of(*source("a", 1, 200), 90);
  EXPECT_EQ(order_of(*source("a", 1, 200), 90), order);
  EXPECT_NE(order_of(*source("a", 1, 200), 89), order);
  EXPECT_NE(order_of(*source("a", 2, 200), 90), order) << "another seed";
  EXPECT_NE(order_of(*source("a", 1, 20), 20), order_of(*source("a", 1, 200), 20)) << "another length, another shuffle";
}

TEST_F(LedgerTest, LongRunsAreProbedFromEndToEnd) {
  // 10,000 samples, of which two hundred before the end are read in another order
  struct Numbers : Dataset {
    explicit Numbers(int64_t swapped_from) : from(swapped_from) {}
    int64_t size() const override { return 10000; }
    Sample get(int64_t) const override { return {}; }
    SampleStart start(int64_t i) const override { return {0, 0, i < from ? i : 20000 - i}; }
    std::vector<Consumed> consumed(int64_t) const override { return {}; }
    int64_t from;
  };
  EXPECT_EQ(order_of(Numbers(10000), 10000), order_of(Numbers(10000), 10000));
  EXPECT_NE(order_of(Numbers(10000), 10000), order_of(Numbers(9800), 10000));
  EXPECT_EQ(order_of(Numbers(10000), 9800), order_of(Numbers(9800), 9800));
}

TEST_F(LedgerTest, SaysWhatHasChanged) {
  const LedgerEntry then = ledger_entry(*blend(3, 1), 10, 100);
  EXPECT_EQ(then.sources.at(0).samples, 75);
  EXPECT_EQ(difference(then, ledger_entry(*blend(3, 1), 10, 100)), std::nullopt);
  EXPECT_EQ(difference(then, ledger_entry(*blend(1, 1), 10, 100)),
            "its first 100 samples were 75 of a, 25 of b, and are now 50 of a, 50 of b");
  EXPECT_EQ(difference(ledger_entry(*source("a", 1, 200), 10, 100), ledger_entry(*source("a", 2, 200), 10, 100)),
            "its first 100 samples are not those that were read");
  EXPECT_NE(difference(ledger_entry(*source("a", 1, 200), 10, 100), ledger_entry(*source("b", 1, 200), 10, 100)),
            std::nullopt);
  // the same files in another folder are the same data
  LedgerEntry moved = then;
  moved.sources[0].source = "/elsewhere/a";
  EXPECT_EQ(difference(then, moved), std::nullopt);
}

TEST_F(LedgerTest, LinesAreReadBack) {
  const LedgerEntry entry = ledger_entry(*blend(3, 1), 10, 100);
  const std::string line = to_json(entry).dump() + "\n";
  const auto read = read_ledger(write("ledger.jsonl", line + line + "{\"iteration\": 3"));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(to_json(read.back()), to_json(entry));
  EXPECT_EQ(read.back().sources.at(1).tokens, 125);
  const fs::path bad = write("bad.jsonl", line + "{\"iteration\": \"one\"}\n");
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { read_ledger(bad); }).find("bad.jsonl:2"), std::string::npos);
}

}  // namespace
}  // namespace rialto::data
