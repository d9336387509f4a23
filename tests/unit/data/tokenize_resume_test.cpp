// Parts: what a run that ended early has left is kept, and the files are those of a run that did not.
#include <gtest/gtest.h>

#include "rialto/data/bad_rows.h"
#include "rialto/data/merge.h"
#include "rialto/data/token_parts.h"
#include "rialto/data/tokenize.h"
#include "tests/unit/data/fixture.h"
#include "tests/unit/stop_after.h"

namespace rialto::data {
namespace {

using data_test::DataTest;

class TokenizeResumeTest : public DataTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) write("text/f" + std::to_string(i) + ".py", sample(i + 1));
    train_tokenizer({.source = {.inputs = {dir_ / "text"}}, .output = dir_ / "tok", .vocab_size = 300}, real_file_ops(),
                    nullptr);
    tokenize(options("whole"), real_file_ops(), nullptr);
  }
  static std::string sample(int lines) { return data_test::sample_text(lines); }
  TokenizeOptions options(const std::string& prefix) const {
    TokenizeOptions made{
        .source = {.inputs = {dir_ / "text"}}, .tokenizer = dir_ / "tok", .output_prefix = dir_ / prefix};
    made.part_bytes = 300;
    return made;
  }
  std::string bytes(const std::string& name) const { return read_text_file(dir_ / name); }
  void expect_whole(const std::string& name) const {
    EXPECT_EQ(bytes(name + ".bin"), bytes("whole.bin"));
    EXPECT_EQ(bytes(name + ".idx"), bytes("whole.idx"));
    EXPECT_FALSE(fs::exists(dir_ / (name + ".parts")));
  }
  fs::path dir_of_parts() const { return dir_ / "t.parts"; }
};

TEST_F(TokenizeResumeTest, PartsDoNotChangeABit) {
  for (const uint64_t part : {1u, 100u, 1000u, 1u << 20}) {
    TokenizeOptions made = options("t");
    made.part_bytes = part;
    made.overwrite = true;
    const Json report = tokenize(made, real_file_ops(), nullptr);
    EXPECT_EQ(report.at("parts"), part == 1 ? 12 : part == 1u << 20 ? 1 : report.at("parts").get<int>());
    expect_whole("t");
  }
}

TEST_F(TokenizeResumeTest, AStoppedRunGoesOnBehindItsLastPart) {
  StopAfter stop(8);
  data_test::error_of(ErrorKind::kStopped, [&] { tokenize(options("t"), real_file_ops(), &stop); });
  EXPECT_TRUE(fs::exists(dir_of_parts() / "000000.json"));
  const auto before = fs::last_write_time(dir_of_parts() / "000000.bin");
  StopAfter again(2);
  data_test::error_of(ErrorKind::kStopped, [&] { tokenize(options("t"), real_file_ops(), &again); });
  EXPECT_EQ(fs::last_write_time(dir_of_parts() / "000000.bin"), before);
  const Json report = tokenize(options("t"), real_file_ops(), nullptr);
  EXPECT_GT(report.at("parts_kept"), 1);
  expect_whole("t");
  const Json whole = tokenize(options("u"), real_file_ops(), nullptr);
  for (const char* key : {"documents", "files", "tokens", "bytes", "unigram", "skipped"})
    EXPECT_EQ(report.at(key), whole.at(key)) << key;
}

TEST_F(TokenizeResumeTest, WhateverFailsTheNextRunMakesTheSameFiles) {
  for (int bytes_left = 0; bytes_left < 20000; bytes_left += 1700) {
    const auto full = faulty_file_ops(real_file_ops(), "full:write:" + std::to_string(bytes_left));
    try {
      tokenize(options("t"), *full, nullptr);
      break;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kIo) << error.what();
    }
    tokenize(options("t"), real_file_ops(), nullptr);
    expect_whole("t");
    for (const char* name : {"t.bin", "t.idx"}) fs::remove(dir_ / name);
  }
}

TEST_F(TokenizeResumeTest, PartsOfOtherInputsAreNotGoneOnFrom) {
  const auto stopped = [&] {
    StopAfter stop(8);
    data_test::error_of(ErrorKind::kStopped, [&] { tokenize(options("t"), real_file_ops(), &stop); });
  };
  stopped();
  TokenizeOptions other = options("t");
  other.append_eod = false;
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { tokenize(other, real_file_ops(), nullptr); })
                .find("end-of-text token"),
            std::string::npos);
  write("text/f3.py", "changed");
  EXPECT_NE(
      data_test::error_of(ErrorKind::kConfig, [&] { tokenize(options("t"), real_file_ops(), nullptr); }).find("inputs"),
      std::string::npos);
  TokenizeOptions anew = options("t");
  anew.overwrite = true;
  EXPECT_EQ(tokenize(anew, real_file_ops(), nullptr).at("parts_kept"), 0);
  EXPECT_NE(bytes("t.bin"), bytes("whole.bin"));
  EXPECT_FALSE(fs::exists(dir_of_parts()));
}

TEST_F(TokenizeResumeTest, AFileBesideTheTokenizerIsPartOfThePlan) {
  const std::string base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string ranks;
  for (size_t byte = 0; byte < 256; ++byte)
    ranks += std::string{base64[byte >> 2], base64[(byte & 3) << 4]} + "== " + std::to_string(byte) + "\n";
  write("ranks/a.tiktoken", ranks);
  write("ranks/a.tiktoken.pattern", "[a-z]+");
  TokenizeOptions made = options("t");
  made.tokenizer = dir_ / "ranks";
  made.append_eod = false;
  StopAfter stop(8);
  data_test::error_of(ErrorKind::kStopped, [&] { tokenize(made, real_file_ops(), &stop); });
  write("ranks/a.tiktoken.pattern", "[a-z0-9]+");
  EXPECT_NE(
      data_test::error_of(ErrorKind::kConfig, [&] { tokenize(made, real_file_ops(), nullptr); }).find("beside the"),
      std::string::npos);
}

TEST_F(TokenizeResumeTest, TheQuarantineIsNoInput) {
  write("text/bad.py", "x");
  TokenizeOptions made = options("t");
  made.quarantine = dir_ / "text" / "." / "bad.py";
  made.overwrite = true;
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { tokenize(made, real_file_ops(), nullptr); }).find("bad.py"),
            std::string::npos);
  EXPECT_EQ(bytes("text/bad.py"), "x");
}

TEST_F(TokenizeResumeTest, BegunAgainNothingOfTheOldPartsCounts) {
  TokenizeOptions old = options("t");
  old.append_eod = false;
  StopAfter late(10), early(5);
  data_test::error_of(ErrorKind::kStopped, [&] { tokenize(old, real_file_ops(), &late); });
  TokenizeOptions anew = options("t");
  anew.overwrite = true;
  data_test::error_of(ErrorKind::kStopped, [&] { tokenize(anew, real_file_ops(), &early); });
  EXPECT_TRUE(fs::exists(dir_of_parts() / "000000.json"));
  tokenize(anew, real_file_ops(), nullptr);
  expect_whole("t");
}

TEST_F(TokenizeResumeTest, TwoProcessesDoNotShareAFolder) {
  fs::create_directories(dir_of_parts());
  const hub::FileLock lock(dir_of_parts() / "lock", [] {}, [] {});
  EXPECT_NE(data_test::error_of(ErrorKind::kConfig, [&] { tokenize(options("t"), real_file_ops(), nullptr); })
                .find("another process"),
            std::string::npos);
}

TEST_F(TokenizeResumeTest, ShardsMergedAreTheWhole) {
  std::vector<std::string> prefixes;
  uint64_t documents = 0;
  for (int64_t i = 1; i <= 20; ++i) {
    TokenizeOptions made = options("s");
    made.shard = {i, 20};
    const Json report = tokenize(made, real_file_ops(), nullptr);
    documents += report.at("documents").get<uint64_t>();
    prefixes.push_back(report.at("prefix"));
  }
  EXPECT_EQ(documents, 12u);
  merge(prefixes, dir_ / "t", false, real_file_ops(), nullptr);
  expect_whole("t");
}

TEST_F(TokenizeResumeTest, BadRowsGoToTheQuarantineAndTheRestIsAsIfTheyWereNotThere) {
  std::string clean, mixed;
  for (int i = 0; i < 200; ++i) {
    const std::string row = "{\"text\": \"row " + std::to_string(i) + "\"}\n";
    clean += row;
    mixed += row;
    if (i % 10 == 3) mixed += "{\"text\": null}\n";
    if (i % 50 == 7) mixed += "caf\xE9\n";
  }
  TokenizeOptions made = options("clean");
  made.source.inputs = {write("clean.jsonl", clean)};
  tokenize(made, real_file_ops(), nullptr);
  made.source.inputs = {write("mixed.jsonl", mixed)};
  made.output_prefix = dir_ / "mixed";
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { tokenize(made, real_file_ops(), nullptr); })
                .find("mixed.jsonl:5] has null"),
            std::string::npos);
  made.quarantine = dir_ / "bad/rows.jsonl";
  const Json report = tokenize(made, real_file_ops(), nullptr);
  EXPECT_EQ(report.at("quarantined"), (Json{{"not UTF-8", 4}, {"null", 20}}));
  EXPECT_EQ(bytes("mixed.bin"), bytes("clean.bin"));
  EXPECT_EQ(bytes("mixed.idx"), bytes("clean.idx"));
  const std::string rows = bytes("bad/rows.jsonl");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 24);
  const Json first = parse_json(rows.substr(0, rows.find('\n')), "row");
  EXPECT_EQ(first.at("row"), 5);
  EXPECT_EQ(first.at("text"), "{\"text\": null}");
  EXPECT_NE(rows.find("\"hex\":\"636166e9\""), std::string::npos);
}

}  // namespace
}  // namespace rialto::data
