// Samples that hold several fine-tuning rows: of packed files, packed as they are read, or a micro-batch in one row.
#include "rialto/data/packed_dataset.h"

#include <map>
#include <set>

#include "rialto/data/ledger.h"
#include "rialto/data/open_datasets.h"
#include "rialto/data/packed_file.h"
#include "rialto/data/row_packer.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::error_of;
using data_test::sample_text;
using Ints = std::vector<int32_t>;

class PackedDatasetTest : public data_test::DataTest {
 protected:
  PackedDatasetTest() {
    bool given = false;
    write("tok/tokenizer.json", hub::train_bpe({.vocab_size = 300}, [&](std::string& text) {
            return !std::exchange(given, true) && (text = sample_text(30), true);
          }));
    write("tok/tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
    std::string text;
    for (int i = 0; i < 40; ++i)
      text += R"({"prompt": "p", "completion": ")" +
              std::string(static_cast<size_t>(1 + i % 6), static_cast<char>('A' + i % 26)) + R"(", "weight": )" +
              (i % 2 ? "0.5" : "1") + "}\n";
    write("rows/training.jsonl", text);
    section_.dataset_root = (dir_ / "rows").string();
    section_.packed_sequence_size = 20;
    section_.packing_window = 16;
  }
  std::unique_ptr<Dataset> open(int64_t samples = 0) const {
    return DatasetOpener(section_,
                         {.seq_length = 20, .eod_token = 9, .ops = &real_file_ops(), .tokenizer = dir_ / "tok"})
        .open(Part::kTrain, samples);
  }
  /// The same rows, a sample each.
  std::unique_ptr<Dataset> open_rows() const {
    config::DatasetSection section = section_;
    section.packed_sequence_size = -1;
    section.pack_sequences_in_batch = true;  // without padding
    return DatasetOpener(section, {.seq_length = 20, .tokenizer = dir_ / "tok"}).open(Part::kTrain, 0);
  }
  /// tokens, labels, weights and positions of each document of a sample that carries loss.
  static std::vector<std::tuple<Ints, Ints, std::vector<float>, Ints>> documents(const Sample& sample) {
    std::vector<std::tuple<Ints, Ints, std::vector<float>, Ints>> out;
    for (size_t begin = 0, end = 0; begin < sample.tokens.size(); begin = end) {
      while (end < sample.tokens.size() && sample.documents[end] == sample.documents[begin]) ++end;
      const auto part = [&](const auto& all) {
        return std::vector(all.begin() + static_cast<ptrdiff_t>(begin), all.begin() + static_cast<ptrdiff_t>(end));
      };
      const auto weights = part(sample.loss_weights);
      if (std::ranges::any_of(weights, [](float w) { return w > 0; }))
        out.emplace_back(part(sample.tokens), part(sample.labels), weights, part(sample.positions));
    }
    return out;
  }
  void write_packed(const std::string& name, const std::vector<PackedRow>& rows) const {
    fs::create_directories((dir_ / name).parent_path());
    const auto file = real_file_ops().create(dir_ / name);
    PackedFileWriter writer(*file);
    for (const PackedRow& row : rows) writer.add(row);
    writer.finish();
    file->close();
  }
  config::DatasetSection section_;
};

TEST_F(PackedDatasetTest, RowsPackedAsTheyAreReadAreTheRows) {
  const auto rows = open_rows();
  std::multiset<std::tuple<Ints, Ints, std::vector<float>, Ints>> want, got;
  for (int64_t i = 0; i < rows->size(); ++i) want.insert(documents(rows->get(i)).at(0));
  const auto packed = open();
  EXPECT_LT(packed->size(), 14);
  for (int64_t i = 0; i < packed->size(); ++i) {
    const Sample sample = packed->get(i);
    for (const auto* ids : {&sample.tokens, &sample.labels, &sample.positions, &sample.documents})
      EXPECT_EQ(ids->size(), 20u);
    for (auto& document : documents(sample)) got.insert(std::move(document));
  }
  EXPECT_EQ(got, want);
  EXPECT_EQ(want.size(), 40u);
}

TEST_F(PackedDatasetTest, RoomsAreMultiples) {
  section_.pad_seq_to_mult = 4;
  const auto packed = open();
  for (int64_t i = 0; i < packed->size(); ++i) {
    const Sample sample = packed->get(i);
    std::map<int32_t, int> lengths;
    for (const int32_t document : sample.documents) ++lengths[document];
    for (const auto& [document, length] : lengths) EXPECT_EQ(length % 4, 0) << i << " " << document;
  }
}

TEST_F(PackedDatasetTest, TheLedgerCountsRowsOfBins) {
  const auto packed = open(30);
  int64_t tokens = 0;
  for (int64_t i = 0; i < open_rows()->size(); ++i)
    tokens += static_cast<int64_t>(open_rows()->get(i).tokens.size()) + 1;
  const int64_t epoch = open()->size();
  EXPECT_EQ(packed->consumed(epoch)[0].tokens, tokens);
  EXPECT_DOUBLE_EQ(packed->consumed(epoch)[0].epochs, 1);
  EXPECT_EQ(packed->consumed(0)[0].tokens, 0);
  EXPECT_LT(packed->consumed(epoch - 1)[0].epochs, 1);
  EXPECT_EQ(packed->consumed(epoch + 2)[0].samples, epoch + 2);
  EXPECT_THROW(packed->consumed(31), Error);
  EXPECT_THROW(packed->get(30), Error);
}

TEST_F(PackedDatasetTest, BinsOfFilesComeInAnOrderOfEachEpoch) {
  std::vector<PackedRow> rows;
  for (int32_t i = 0; i < 7; ++i) {
    PackedRow row;
    append(row, {{10 * i, 10 * i + 1, 10 * i + 2}, {0, 1, 1}}, 1, 0);
    append(row, {{100 + i, 200 + i}, {1, 1}}, 1, 0);
    rows.push_back(row);
  }
  write_packed("packed/a.parquet", {rows.begin(), rows.begin() + 4});
  write_packed("packed/b.idx.parquet", {rows.begin() + 4, rows.end()});
  section_.dataset_root.clear();
  section_.packed_sequence_size = 5;
  section_.packed_train_data_path = (dir_ / "packed").string();
  for (const bool cached : {false, true, true}) {
    if (cached) section_.path_to_cache = (dir_ / "cache").string();
    const auto packed = open(14);
    std::vector<int64_t> seen;
    for (int64_t i = 0; i < 14; ++i) {
      const auto bin = static_cast<int32_t>(packed->start(i).document);
      const Sample sample = packed->get(i);
      EXPECT_EQ(sample.tokens, (Ints{10 * bin, 10 * bin + 1, 100 + bin, 9, 9}));
      EXPECT_EQ(sample.labels, (Ints{10 * bin + 1, 10 * bin + 2, 200 + bin, 9, 9}));
      EXPECT_EQ(sample.loss_weights, (std::vector<float>{1, 1, 1, 0, 0}));
      EXPECT_EQ(sample.positions, (Ints{0, 1, 0, 0, 0}));
      EXPECT_EQ(sample.documents, (Ints{0, 0, 1, 2, 2}));
      seen.push_back(bin);
    }
    for (int epoch = 0; epoch < 2; ++epoch)
      EXPECT_EQ(std::set<int64_t>(seen.begin() + 7 * epoch, seen.begin() + 7 * (epoch + 1)).size(), 7u);
    EXPECT_NE(std::vector(seen.begin(), seen.begin() + 7), std::vector(seen.begin() + 7, seen.end()));
    EXPECT_EQ(packed->consumed(8)[0].tokens, 8 * 5);
    EXPECT_EQ(open()->size(), 7);
  }
}

TEST_F(PackedDatasetTest, BinsThatDoNotFitAreNamedByFileAndRow) {
  PackedRow small, large;
  append(small, {{1, 2, 3}, {1, 1, 1}}, 1, 0);
  append(large, {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 1, 1, 1, 1, 1, 1}}, 1, 0);
  write_packed("a.parquet", {small, small});
  write_packed("b.parquet", {small, small, large});
  section_.dataset_root.clear();
  section_.packed_train_data_path = (dir_ / "*.parquet").string();
  section_.packed_sequence_size = 6;
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { open(); }).find("b.parquet row 2"), std::string::npos);
  section_.packed_sequence_size = 7;
  EXPECT_EQ(open()->size(), 5);
  DatasetOpener narrow(section_, {.seq_length = 6});
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { narrow.open(Part::kTrain, 0); }).find("segment"), std::string::npos);
  section_.packed_train_data_path = write("c.txt", "no").string();
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { open(); }).find("c.txt"), std::string::npos);
  section_.packed_train_data_path = (dir_ / "tok").string();
  error_of(ErrorKind::kInput, [&] { open(); });
}

TEST(Joined, SamplesLieEndToEndWithTheirDocuments) {
  const Sample a{{1, 2}, {2, 3}, {0, 1}, {0, 1}, {0, 0}}, b{{4, 5, 6}, {5, 6, 7}, {1, 1, 1}, {0, 0, 1}, {0, 1, 1}};
  const Sample all = joined(std::vector<Sample>{a, b}, 4, 9);
  EXPECT_EQ(all.tokens, (Ints{1, 2, 4, 5, 6, 9, 9, 9}));
  EXPECT_EQ(all.labels, (Ints{2, 3, 5, 6, 7, 9, 9, 9}));
  EXPECT_EQ(all.loss_weights, (std::vector<float>{0, 1, 1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(all.positions, (Ints{0, 1, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(all.documents, (Ints{0, 0, 1, 2, 2, 3, 3, 3}));
  EXPECT_EQ(joined(std::vector<Sample>{a}, 1, 9).tokens, (Ints{1, 2}));
}

}  // namespace
}  // namespace rialto::data
