// Segments in a bin, and what the model is given of them.
#include "rialto/data/packed_row.h"

#include <gtest/gtest.h>

#include "rialto/data/packed_file.h"
#include "rialto/data/row_packer.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;
using Ints = std::vector<int32_t>;
using Bytes = std::vector<uint8_t>;

TEST(PackedRow, MasksMoveToTheTokenBeforeTheirLabel) {
  PackedRow packed;
  append(packed, {{10, 11, 12, 13}, {0, 0, 1, 1}}, 1, 9);
  append(packed, {{20, 21}, {1, 1}}, 1, 9);
  EXPECT_EQ(packed.input_ids, (Ints{10, 11, 12, 13, 20, 21}));
  EXPECT_EQ(packed.loss_mask, (Bytes{0, 1, 1, 0, 1, 0}));
  EXPECT_EQ(packed.seq_start_id, (Ints{0, 4}));
}

TEST(PackedRow, SegmentsArePaddedBehindTheirEnd) {
  PackedRow packed;
  append(packed, {{10, 11, 12}, {0, 1, 1}}, 4, 9);
  append(packed, {{20, 21, 22, 23, 24}, {1, 1, 1, 1, 1}}, 4, 9);
  EXPECT_EQ(packed.input_ids, (Ints{10, 11, 12, 9, 9, 20, 21, 22, 23, 24}));
  EXPECT_EQ(packed.loss_mask, (Bytes{1, 1, 0, 0, 0, 1, 1, 1, 1, 0}));
  EXPECT_EQ(packed.seq_start_id, (Ints{0, 5}));
  const PackedSample out = sample_of(packed, 8, 9);
  EXPECT_EQ(out.cu_seqlens, (Ints{0, 4, 8}));
}

TEST(PackedRow, TheModelSeesEachSegmentByItself) {
  PackedRow packed;
  append(packed, {{10, 11, 12, 13}, {0, 0, 1, 1}}, 1, 9);
  append(packed, {{20, 21}, {1, 1}}, 1, 9);
  const PackedSample out = sample_of(packed, 7, 9);
  EXPECT_EQ(out.sample.tokens, (Ints{10, 11, 12, 20, 9, 9, 9}));
  EXPECT_EQ(out.sample.labels, (Ints{11, 12, 13, 21, 9, 9, 9}));
  EXPECT_EQ(out.sample.loss_weights, (std::vector<float>{0, 1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(out.sample.positions, (Ints{0, 1, 2, 0, 0, 0, 0}));
  EXPECT_EQ(out.sample.documents, (Ints{0, 0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(out.cu_seqlens, (Ints{0, 3, 4, 7}));
  EXPECT_EQ(out.max_seqlen, 3);
  EXPECT_EQ(sample_of(packed, 4, 9).cu_seqlens, (Ints{0, 3, 4}));
  data_test::error_of(ErrorKind::kInput, [&] { sample_of(packed, 3, 9); });
}

TEST(PackedRow, MultiplesOfParallelSizes) {
  EXPECT_EQ(padding_multiple(1, 1), 1);
  EXPECT_EQ(padding_multiple(2, 1), 4);
  EXPECT_EQ(padding_multiple(1, 4), 4);
  EXPECT_EQ(padding_multiple(2, 4), 8);
  EXPECT_EQ(padding_multiple(2, 3), 12);  // both 4 and 6
  EXPECT_EQ(padding_multiple(2, 1, 16), 16);
  EXPECT_EQ(room_of(1, 4), 0);
  EXPECT_EQ(room_of(2, 4), 4);
  EXPECT_EQ(room_of(5, 4), 4);
  EXPECT_EQ(room_of(6, 4), 8);
  data_test::error_of(ErrorKind::kConfig, [] { padding_multiple(0, 1); });
}

class RowPackerTest : public DataTest {
 protected:
  PackOptions options() const { return {.output = dir_ / "out.idx.parquet", .size = 8}; }
  static TokenRow row(int32_t first, int32_t count) {
    TokenRow made;
    for (int32_t i = 0; i < count; ++i) {
      made.ids.push_back(first + i);
      made.mask.push_back(i % 2 == 0);
    }
    return made;
  }
};

TEST_F(RowPackerTest, RowsComeBackOutOfTheFile) {
  RowPacker packer(options(), real_file_ops());
  for (int32_t i = 0; i < 2000; ++i) packer.add(row(10 * i, 2 + i % 8), "row");
  const Json report = packer.finish(silent());
  std::vector<int> seen(2000, 0);
  int64_t bins = 0;
  read_packed_file(dir_ / "out.idx.parquet", [&](const PackedRow& packed) {
    ++bins;
    const size_t segments = packed.seq_start_id.size();
    EXPECT_LE(packed.input_ids.size() - segments, 8u);
    for (size_t s = 0; s < segments; ++s) {
      const auto begin = static_cast<size_t>(packed.seq_start_id[s]);
      const auto end = s + 1 < segments ? static_cast<size_t>(packed.seq_start_id[s + 1]) : packed.input_ids.size();
      const int32_t number = packed.input_ids[begin] / 10;
      const TokenRow want = row(10 * number, 2 + number % 8);
      ++seen.at(static_cast<size_t>(number));
      ASSERT_EQ(Ints(packed.input_ids.begin() + static_cast<ptrdiff_t>(begin),
                     packed.input_ids.begin() + static_cast<ptrdiff_t>(end)),
                want.ids);
      for (size_t i = begin; i + 1 < end; ++i) ASSERT_EQ(packed.loss_mask[i], want.mask[i - begin + 1]);
      ASSERT_EQ(packed.loss_mask[end - 1], 0);
    }
  });
  EXPECT_EQ(report.at("bins"), bins);
  EXPECT_EQ(report.at("rows"), 2000);
  EXPECT_EQ(seen, std::vector<int>(2000, 1));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), {}), 1);
}

TEST_F(RowPackerTest, LongRowsAreRefusedCutOrDropped) {
  RowPacker strict(options(), real_file_ops());
  EXPECT_NE(
      data_test::error_of(ErrorKind::kInput, [&] { strict.add(row(0, 10), "rows.jsonl:7"); }).find("rows.jsonl:7"),
      std::string::npos);
  PackOptions cutting = options();
  cutting.long_rows = LongRows::kCut;
  cutting.multiple = 3;
  RowPacker packer(cutting, real_file_ops());
  packer.add(row(0, 20), "row");
  packer.add(row(100, 3), "row");
  EXPECT_EQ(packer.finish(silent()).at("cut"), 1);
  std::vector<PackedRow> rows;
  read_packed_file(cutting.output, [&](PackedRow packed) { rows.push_back(std::move(packed)); });
  ASSERT_EQ(rows.size(), 2u);  // rooms of 6 and 3 in bins of 8
  EXPECT_EQ(rows[0].input_ids, (Ints{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(rows[1].input_ids, (Ints{100, 101, 102, 0}));
  PackOptions dropping = options();
  dropping.long_rows = LongRows::kDrop;
  dropping.overwrite = true;
  RowPacker other(dropping, real_file_ops());
  other.add(row(0, 20), "row");
  other.add(row(100, 3), "row");
  const Json report = other.finish(silent());
  EXPECT_EQ(report.at("dropped"), 1);
  EXPECT_EQ(report.at("rows"), 1);
}

TEST_F(RowPackerTest, RowsThatAreNoneAreNamed) {
  RowPacker packer(options(), real_file_ops());
  const auto refused = [&](TokenRow bad) {
    const std::string message =
        data_test::error_of(ErrorKind::kInput, [&] { packer.add(std::move(bad), "r.jsonl:3"); });
    EXPECT_NE(message.find("r.jsonl:3"), std::string::npos) << message;
  };
  refused({{1}, {1}});
  refused({{1, 2}, {1}});
  refused({{1, -2}, {1, 1}});
  refused({{1, 2}, {1, 2}});
  data_test::error_of(ErrorKind::kInput, [&] { packer.finish(silent()); });
  write("there.parquet", "old");
  PackOptions there = options();
  there.output = dir_ / "there.parquet";
  data_test::error_of(ErrorKind::kConfig, [&] { RowPacker(there, real_file_ops()); });
  PackOptions small = options();
  small.multiple = 16;
  data_test::error_of(ErrorKind::kConfig, [&] { RowPacker(small, real_file_ops()); });
}

TEST_F(RowPackerTest, AFullDiskLeavesNothing) {
  for (const char* fault : {"full:write:0", "full:write:100", "full:write:14000"}) {
    const auto full = faulty_file_ops(real_file_ops(), fault);
    data_test::error_of(ErrorKind::kIo, [&] {
      RowPacker packer(options(), *full);
      for (int32_t i = 0; i < 2000; ++i) packer.add(row(10 * i, 2 + i % 8), "row");
      packer.finish(silent());
    });
    EXPECT_TRUE(fs::is_empty(dir_)) << fault;
  }
}

}  // namespace
}  // namespace rialto::data
