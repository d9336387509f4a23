// .bin/.idx: reads back, keeps its promises about names, refuses damage.
#include <numeric>

#include "rialto/formats/indexed_dataset.h"
#include "tests/unit/formats/temp_file.h"

namespace rialto::formats {
namespace {

class Indexed : public TempFolder {
 protected:
  fs::path write(const std::vector<std::vector<int32_t>>& documents, int64_t vocab) const {
    IndexedDatasetWriter writer(real_file_ops(), folder_ / "d", vocab);
    for (const auto& document : documents) writer.add_document(document);
    writer.finish();
    return folder_ / "d";
  }
  std::string error_of_index(const std::string& bytes) const {
    put("d.idx", bytes);
    return input_error([&] { IndexedDataset data(folder_ / "d"); });
  }
  size_t count() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {})); }
};

TEST_F(Indexed, ReadsBackWhatItWrites) {
  std::vector<int32_t> longer(3'000'000);
  std::iota(longer.begin(), longer.end(), 0);
  for (const int64_t vocab : {int64_t{65499}, int64_t{4'000'000}}) {
    for (int32_t& token : longer) token = static_cast<int32_t>(token % vocab);
    const std::vector<std::vector<int32_t>> documents = {{1, 2, 3}, {}, longer, {static_cast<int32_t>(vocab - 1)}};
    const IndexedDataset data(write(documents, vocab));
    EXPECT_EQ(data.element_bytes(), vocab < 65500 ? 2 : 4);
    ASSERT_EQ(data.num_sequences(), 4);
    EXPECT_EQ(data.num_tokens(), 3'000'004);
    for (int64_t i = 0; i < 4; ++i) {
      std::vector<int32_t> tokens(static_cast<size_t>(data.lengths()[static_cast<size_t>(i)]));
      data.read(i, 0, tokens);
      EXPECT_EQ(tokens, documents[static_cast<size_t>(i)]);
    }
    std::vector<int32_t> middle(5);
    data.read(2, 1000, middle);
    EXPECT_EQ(middle[4], 1004 % vocab);
  }
  EXPECT_EQ(count(), 2u);
}

TEST_F(Indexed, ReadsStayInside) {
  const IndexedDataset data(write({{1, 2, 3}, {4}}, 10));
  std::vector<int32_t> out(2);
  EXPECT_NO_THROW(data.read(0, 1, out));
  EXPECT_NO_THROW(data.read(0, 3, std::span(out).first(0)));
  for (const auto& [index, offset] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 2}, {1, 0}, {2, 0}, {-1, 0}, {0, -1}, {0, INT64_MAX}, {INT64_MAX, 0}}) {
    EXPECT_THROW(data.read(index, offset, out), Error) << index << " " << offset;
  }
}

TEST_F(Indexed, NothingAppearsBeforeFinish) {
  {
    IndexedDatasetWriter writer(real_file_ops(), folder_ / "d", 10);
    writer.add_document(std::vector<int32_t>{1, 2});
    EXPECT_EQ(writer.num_tokens(), 2u);
    EXPECT_EQ(writer.num_documents(), 1u);
    EXPECT_FALSE(fs::exists(folder_ / "d.bin"));
    EXPECT_FALSE(fs::exists(folder_ / "d.idx"));
  }
  EXPECT_EQ(count(), 0u) << "an abandoned writer cleans up";
}

TEST_F(Indexed, FullDiskLeavesNothing) {
  const auto full = faulty_file_ops(real_file_ops(), "full:write:50");
  EXPECT_THROW(
      {
        IndexedDatasetWriter writer(*full, folder_ / "d", 10);
        writer.add_document(std::vector<int32_t>(20, 1));
        writer.finish();
      },
      Error);
  EXPECT_EQ(count(), 0u);
}

TEST_F(Indexed, TokensOutsideTheVocabulary) {
  for (const int32_t token : {10, -1, INT32_MAX, INT32_MIN}) {
    IndexedDatasetWriter writer(real_file_ops(), folder_ / "d", 10);
    EXPECT_HAS(input_error([&] { writer.add_document(std::vector<int32_t>{1, token}); }), "vocabulary");
  }
  EXPECT_THROW(IndexedDatasetWriter(real_file_ops(), folder_ / "d", 0), Error);
  EXPECT_THROW(IndexedDatasetWriter(real_file_ops(), folder_ / "d", INT64_MAX), Error);
}

TEST_F(Indexed, DamagedIndex) {
  write({{1, 2, 3}, {4}}, 10);
  const std::string good = read_text_file(folder_ / "d.idx");
  ASSERT_EQ(error_of_index(good), "");
  for (size_t size = 0; size < good.size(); ++size) ASSERT_NE(error_of_index(good.substr(0, size)), "") << size;
  EXPECT_NE(error_of_index(good + "x"), "");
  EXPECT_EQ(error_of_index(good + "xx"), "") << "modes of a multimodal index";
  EXPECT_HAS(error_of_index(replaced(good, 0, "X")), "MMIDIDX");
  EXPECT_HAS(error_of_index(replaced(good, 9, "\x02")), "version");
  for (const char* code : {"\x06", "\x07", "\x09", "\xFF"})
    EXPECT_HAS(error_of_index(replaced(good, 17, code)), "element type");
  EXPECT_NE(error_of_index(replaced(good, 17, "\x04")), "") << "another width";
  for (const uint64_t lie :
       {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{1} << 62, UINT64_MAX, UINT64_MAX / 12 + 1}) {
    EXPECT_NE(error_of_index(replaced(good, 18, le(lie))), "") << lie;
    EXPECT_NE(error_of_index(replaced(good, 26, le(lie == 3 ? 4 : lie))), "") << lie;
  }
  EXPECT_HAS(error_of_index(replaced(good, 34, le<int32_t>(-1))), "negative");
  EXPECT_NE(error_of_index(replaced(good, 34, le<int32_t>(INT32_MAX))), "");
  EXPECT_HAS(error_of_index(replaced(good, 42 + 8, le<int64_t>(4))), "does not begin");
  EXPECT_HAS(error_of_index(replaced(good, 58, le<int64_t>(1))), "sequence 0");
  EXPECT_HAS(error_of_index(replaced(good, 66, le<int64_t>(3))), "begins before");
  EXPECT_HAS(error_of_index(replaced(good, 74, le<int64_t>(3))), "last document");
}

TEST_F(Indexed, DamagedData) {
  write({{1, 2, 3}, {4}}, 10);
  const std::string bin = read_text_file(folder_ / "d.bin");
  for (const std::string& bad : {bin.substr(1), bin + "x", std::string()}) {
    put("d.bin", bad);
    EXPECT_HAS(input_error([&] { IndexedDataset data(folder_ / "d"); }), "does not fit its .idx");
  }
  fs::remove(folder_ / "d.bin");
  EXPECT_HAS(input_error([&] { IndexedDataset data(folder_ / "d"); }), "no such file");
}

TEST_F(Indexed, EmptyDataset) {
  const IndexedDataset data(write({}, 10));
  EXPECT_EQ(data.num_sequences(), 0);
  EXPECT_EQ(data.document_indices().size(), 1u);
}

}  // namespace
}  // namespace rialto::formats
