// Files as chunks: shards and resumed readers see every document once.
#include "rialto/data/text_chunk.h"

#include <gtest/gtest.h>

#include "rialto/data/parse_chunk.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;

class TextChunkTest : public DataTest {
 protected:
  std::vector<TextFile> files() const {
    SkipCounts skipped;
    return list_text_files({.inputs = {dir_}}, skipped);
  }
  /// All texts; where each row of the pieces is said to be.
  static std::vector<std::string> read(const std::vector<TextPiece>& pieces, ReadPosition from = {}) {
    ChunkReader reader(pieces, "text", from);
    std::vector<std::string> out;
    uint64_t last = 0;
    for (TextChunk chunk; reader.next(chunk);) {
      const ParsedChunk parsed = parse_chunk(chunk, "text");
      EXPECT_TRUE(parsed.bad.empty());
      out.insert(out.end(), parsed.texts.begin(), parsed.texts.end());
      last = chunk.read_bytes;
    }
    EXPECT_LE(last, reader.total_bytes());
    return out;
  }
  void write_corpus() const {
    std::string lines;
    for (int i = 0; i < 60; ++i) {
      lines += "{\"text\": \"line " + std::to_string(i) + std::string(static_cast<size_t>(i % 7) * 5, 'x') + "\"}\n";
      if (i % 9 == 0) lines += "\n";
    }
    write("a.jsonl", lines);
    write("b.txt", "text b");
    write("c.jsonl", "{\"text\": \"no newline at the end\"}");
    write("d.txt", "text d, longer than the others are");
    write("e.jsonl", lines);
    write("f.jsonl", "");
    write("g.txt", "");
  }
};

TEST_F(TextChunkTest, ShardsTogetherAreTheWholeInOrder) {
  write_corpus();
  const auto all = read(pieces_of(files(), {}));
  EXPECT_EQ(all.size(), 60u + 1 + 1 + 1 + 60);
  for (const int64_t count : {2, 3, 4, 7, 16, 50, 300, 5000}) {
    std::vector<std::string> together;
    for (int64_t i = 1; i <= count; ++i) {
      const auto shard = read(pieces_of(files(), {i, count}));
      together.insert(together.end(), shard.begin(), shard.end());
    }
    EXPECT_EQ(together, all) << count;
  }
}

TEST_F(TextChunkTest, CutAtEveryByteALineIsInOnePiece) {
  const fs::path path = write("a.jsonl", "{\"text\": \"one\"}\n\n{\"text\": \"two\"}\r\n{\"text\": \"three\"}");
  const TextFile file = text_file(path, fs::file_size(path));
  for (uint64_t cut = 1; cut < file.bytes; ++cut) {
    const std::vector<TextPiece> first{{file, 0, cut}}, second{{file, cut, TextPiece::kToTheEnd}};
    auto both = read(first);
    const auto rest = read(second);
    both.insert(both.end(), rest.begin(), rest.end());
    EXPECT_EQ(both, (std::vector<std::string>{"one", "two", "three"})) << cut;
  }
}

TEST_F(TextChunkTest, ARowIsNamedByItsLineInTheWholeFile) {
  std::string lines;
  for (int i = 1; i <= 40; ++i) lines += i % 4 == 0 ? "bad " + std::to_string(i) + "\n" : "{\"text\": \"fine\"}\n";
  const fs::path path = write("a.jsonl", lines);
  for (const int64_t count : {1, 2, 3, 5, 11}) {
    std::vector<std::string> found;
    for (int64_t i = 1; i <= count; ++i) {
      const auto pieces = pieces_of({text_file(path, fs::file_size(path))}, {i, count});
      ChunkReader reader(pieces, "text");
      for (TextChunk chunk; reader.next(chunk);)
        for (const BadRow& row : parse_chunk(chunk, "text").bad) found.push_back(where_of(row) + " " + row.bytes);
    }
    ASSERT_EQ(found.size(), 10u) << count;
    for (int i = 1; i <= 10; ++i) {
      const std::string line = std::to_string(4 * i);
      EXPECT_EQ(found[static_cast<size_t>(i - 1)], path.string() + ":" + line + " bad " + line) << count;
    }
  }
}

TEST_F(TextChunkTest, AReaderGoesOnFromAnyChunksEnd) {
  std::string lines;
  for (int i = 0; i < 3000; ++i)
    lines += "{\"text\": \"" + std::to_string(i) + std::string(static_cast<size_t>(i % 1500), 'y') + "\"}\n";
  write("a.jsonl", lines);
  write("b.txt", "text b");
  write("c.jsonl", lines);
  const auto pieces = pieces_of(files(), {2, 3});
  const auto all = read(pieces);
  ChunkReader reader(pieces, "text");
  std::vector<std::string> before;
  int chunks = 0;
  uint64_t row = 0;
  for (TextChunk chunk; reader.next(chunk); ++chunks) {
    EXPECT_EQ(chunk.first_row, chunk.begins_file ? 0 : row);
    const ParsedChunk parsed = parse_chunk(chunk, "text");
    before.insert(before.end(), parsed.texts.begin(), parsed.texts.end());
    auto both = before;
    const auto rest = read(pieces, chunk.after);
    both.insert(both.end(), rest.begin(), rest.end());
    EXPECT_EQ(both, all) << chunks;
    row = chunk.after.rows;
  }
  EXPECT_GE(chunks, 2);
}

TEST_F(TextChunkTest, ALineThatIsTooLongIsOneBadRow) {
  std::string lines = "{\"text\": \"a\"}\n{\"text\": \"";
  lines.append(kMaxDocumentBytes + 5, 'z');
  lines += "\"}\n{\"text\": \"b\"}\n";
  const fs::path path = write("a.jsonl", lines);
  const auto pieces = pieces_of({text_file(path, fs::file_size(path))}, {});
  ChunkReader reader(pieces, "text");
  std::vector<std::string> texts, bad;
  for (TextChunk chunk; reader.next(chunk);) {
    const ParsedChunk parsed = parse_chunk(chunk, "text");
    texts.insert(texts.end(), parsed.texts.begin(), parsed.texts.end());
    for (const BadRow& row : parsed.bad) bad.push_back(where_of(row) + " " + std::string(row.fault.kind));
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(bad, (std::vector<std::string>{path.string() + ":2 too long"}));
}

TEST_F(TextChunkTest, WrongShardsAreRefused) {
  write_corpus();
  for (const Shard& shard : {Shard{0, 2}, Shard{3, 2}, Shard{1, 0}, Shard{-1, -1}})
    data_test::error_of(ErrorKind::kConfig, [&] { pieces_of(files(), shard); });
  data_test::error_of(ErrorKind::kConfig, [&] { pieces_of({text_file("-", 0)}, {1, 2}); });
  EXPECT_EQ(shard_suffix({1, 1}), "");
  EXPECT_EQ(shard_suffix({2, 16}), ".02-of-16");
  EXPECT_EQ(shard_suffix({7, 1000}), ".0007-of-1000");
}

}  // namespace
}  // namespace rialto::data
