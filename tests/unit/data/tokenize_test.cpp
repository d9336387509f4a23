// Text to .bin/.idx and to tokenizer folders, as the commands do it.
#include "rialto/data/tokenize.h"

#include <map>

#include <gtest/gtest.h>

#include "rialto/data/entropy.h"
#include "rialto/hub/tokenizer.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::DataTest;
using data_test::read_documents;
using data_test::sample_text;

class TokenizeTest : public DataTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 30; ++i) write("text/f" + std::to_string(i) + ".py", sample_text(i + 1));
    train_tokenizer({.source = {.inputs = {dir_ / "text"}}, .output = dir_ / "tok", .vocab_size = 400}, real_file_ops(),
                    nullptr);
  }
  TokenizeOptions options(const std::string& prefix) const {
    return {.source = {.inputs = {dir_ / "text"}}, .tokenizer = dir_ / "tok", .output_prefix = dir_ / prefix};
  }
  std::string bytes(const std::string& name) const { return read_text_file(dir_ / name); }
};

TEST_F(TokenizeTest, DocumentsAreTheirTextAndAnEndOfTextToken) {
  const Json report = tokenize(options("out/t"), real_file_ops(), nullptr);
  const hub::Tokenizer tokenizer(dir_ / "tok");
  const auto documents = read_documents(dir_ / "out/t");
  ASSERT_EQ(documents.size(), 30u);
  std::map<std::string, std::string> texts;  // in the order of their paths: f0, f1, f10, f11, ...
  for (int i = 0; i < 30; ++i) texts["f" + std::to_string(i) + ".py"] = sample_text(i + 1);
  size_t tokens = 0, text_bytes = 0, next = 0;
  for (const auto& [name, text] : texts) {
    const auto& document = documents[next++];
    ASSERT_EQ(document.back(), 0);
    EXPECT_EQ(tokenizer.decode(std::span(document).first(document.size() - 1), false), text) << name;
    tokens += document.size();
    text_bytes += text.size();
  }
  EXPECT_EQ(report.at("tokens"), tokens);
  EXPECT_EQ(report.at("bytes"), text_bytes);
  EXPECT_EQ(report.at("documents"), 30);
  EXPECT_EQ(report.at("vocab_size"), 400);
  EXPECT_DOUBLE_EQ(report.at("unigram").at("nats_per_token").get<double>(),
                   unigram_entropy(dir_ / "out/t").nats_per_token);
}

TEST_F(TokenizeTest, ThreadsDoNotChangeABit) {
  TokenizeOptions one = options("one"), four = options("four");
  one.threads = 1;
  four.threads = 4;
  tokenize(one, real_file_ops(), nullptr);
  tokenize(four, real_file_ops(), nullptr);
  EXPECT_EQ(bytes("one.bin"), bytes("four.bin"));
  EXPECT_EQ(bytes("one.idx"), bytes("four.idx"));
}

TEST_F(TokenizeTest, ExistingOutputIsKeptUnlessToldOtherwise) {
  write("t.idx", "old");
  EXPECT_NE(
      data_test::error_of(ErrorKind::kConfig, [&] { tokenize(options("t"), real_file_ops(), nullptr); }).find("t.idx"),
      std::string::npos);
  EXPECT_EQ(bytes("t.idx"), "old");
  TokenizeOptions replace = options("t");
  replace.overwrite = true;
  tokenize(replace, real_file_ops(), nullptr);
  EXPECT_EQ(read_documents(dir_ / "t").size(), 30u);
}

TEST_F(TokenizeTest, ABadLineLeavesNothingBehind) {
  TokenizeOptions bad = options("t");
  bad.source.inputs = {write("bad.jsonl", "{\"text\": \"a\"}\nno\n")};
  EXPECT_NE(
      data_test::error_of(ErrorKind::kInput, [&] { tokenize(bad, real_file_ops(), nullptr); }).find("bad.jsonl:2"),
      std::string::npos);
  for (const auto& entry : fs::directory_iterator(dir_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("t.")) << entry.path();
  }
}

TEST_F(TokenizeTest, AFullDiskKeepsTheOldOutput) {
  tokenize(options("t"), real_file_ops(), nullptr);
  const std::string old = bytes("t.bin");
  TokenizeOptions replace = options("t");
  replace.overwrite = true;
  replace.append_eod = false;
  const auto full = faulty_file_ops(real_file_ops(), "full:write:1000");
  data_test::error_of(ErrorKind::kIo, [&] { tokenize(replace, *full, nullptr); });
  EXPECT_EQ(bytes("t.bin"), old);
}

TEST_F(TokenizeTest, AnEndOfTextTokenMustBeKnown) {
  fs::remove(dir_ / "tok/tokenizer_config.json");
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { tokenize(options("t"), real_file_ops(), nullptr); })
                .find("eos_token"),
            std::string::npos);
  write("tok/tokenizer_config.json", "{\"eos_token\": \"<absent>\"}");
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { tokenize(options("t"), real_file_ops(), nullptr); })
                .find("<absent>"),
            std::string::npos);
  TokenizeOptions without = options("t");
  without.append_eod = false;
  EXPECT_TRUE(tokenize(without, real_file_ops(), nullptr).at("eod").is_null());
}

TEST_F(TokenizeTest, NoTextIsAnError) {
  TokenizeOptions none = options("t");
  none.source.include = {".nothing"};
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { tokenize(none, real_file_ops(), nullptr); }).find("no text"),
            std::string::npos);
  data_test::error_of(ErrorKind::kInput, [&] {
    train_tokenizer({.source = none.source, .output = dir_ / "tok2"}, real_file_ops(), nullptr);
  });
  EXPECT_FALSE(fs::exists(dir_ / "tok2"));
}

TEST_F(TokenizeTest, ATokenizerFolderIsReproducibleAndNotOverwritten) {
  const TrainTokenizerOptions again{
      .source = {.inputs = {dir_ / "text"}}, .output = dir_ / "again", .vocab_size = 400, .threads = 1};
  const Json report = train_tokenizer(again, real_file_ops(), nullptr);
  EXPECT_EQ(report.at("vocab_size"), 400);
  EXPECT_EQ(bytes("again/tokenizer.json"), bytes("tok/tokenizer.json"));
  EXPECT_EQ(bytes("again/tokenizer_config.json"), bytes("tok/tokenizer_config.json"));
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { train_tokenizer(again, real_file_ops(), nullptr); })
                .find("--overwrite"),
            std::string::npos);
}

}  // namespace
}  // namespace rialto::data
