// Documents of text and JSONL files, good and bad.
#include "rialto/data/document_reader.h"

#include <gtest/gtest.h>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;

class DocumentReaderTest : public DataTest {
 protected:
  std::vector<std::string> read(const TextSource& source) {
    skipped_.clear();
    DocumentReader reader(list_text_files(source, skipped_), source, skipped_);
    std::vector<std::string> out;
    for (std::string text; reader.next(text);) out.push_back(text);
    documents_ = reader.documents();
    text_bytes_ = reader.text_bytes();
    EXPECT_EQ(reader.bytes_read(), reader.total_bytes());
    return out;
  }
  std::string refused(std::string_view line) {
    const fs::path file = write("bad.jsonl", "{\"text\": \"fine\"}\n" + std::string(line) + "\n");
    return data_test::error_of(ErrorKind::kInput, [&] { read({.inputs = {file}}); });
  }
  SkipCounts skipped_;
  uint64_t documents_ = 0, text_bytes_ = 0;
};

TEST_F(DocumentReaderTest, ReadsTextFilesWholeAndJsonlLineByLine) {
  write("a.txt", "one\ntwo\n");
  write("b.jsonl", "{\"text\": \"t\\u00e9\", \"id\": 1}\r\n\n  \n{\"id\": 2, \"text\": \"last, without newline\"}");
  write("c.txt", "");
  write("d.jsonl", "");
  write("e.jsonl", "{\"text\": \"\"}\n{\"text\": \"x\"}\n");
  EXPECT_EQ(read({.inputs = {dir_}}), (std::vector<std::string>{"one\ntwo\n", "té", "last, without newline", "x"}));
  EXPECT_EQ(skipped_, (SkipCounts{{"empty", 2}}));
  EXPECT_EQ(documents_, 4u);
  EXPECT_EQ(text_bytes_, 8u + 3u + 21u + 1u);
}

TEST_F(DocumentReaderTest, LinesLongerThanTheBufferAreWhole) {
  const std::string lengthy(3 << 20, 'y');
  write("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"" + lengthy + "\"}\n{\"text\": \"b\"}\n");
  EXPECT_EQ(read({.inputs = {dir_}}), (std::vector<std::string>{"a", lengthy, "b"}));
}

TEST_F(DocumentReaderTest, TextFilesThatAreNotUtf8AreCounted) {
  write("a.txt", "caf\xE9");
  write("b.txt", "caf\xC3\xA9");
  write("c.txt", "surrogate \xED\xA0\x80");
  EXPECT_EQ(read({.inputs = {dir_}}), (std::vector<std::string>{"café"}));
  EXPECT_EQ(skipped_, (SkipCounts{{"not UTF-8", 2}}));
}

TEST_F(DocumentReaderTest, ABadLineIsNamedByFileAndNumber) {
  for (const char* line : {"{\"text\": \"open", "[1]", "7", "{\"text\": 3}", "{\"txt\": \"a\"}", "{\"text\": \"a\"} x",
                           "{\"text\": \"caf\xE9\"}", "{\"text\": \"\\ud800\"}", "\x01"}) {
    SCOPED_TRACE(line);
    const std::string message = refused(line);
    EXPECT_NE(message.find("bad.jsonl:2"), std::string::npos) << message;
  }
  EXPECT_NE(refused("{\"txt\": \"a\"}").find("--json-key"), std::string::npos);
}

TEST_F(DocumentReaderTest, TheKeyCanBeAnother) {
  const fs::path file = write("a.jsonl", "{\"body\": \"b\", \"text\": 3}\n");
  EXPECT_EQ(read({.inputs = {file}, .json_key = "body"}), (std::vector<std::string>{"b"}));
}

}  // namespace
}  // namespace rialto::data
