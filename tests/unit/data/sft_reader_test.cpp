// Files of rows: order, threads, lengths, bad rows, memory of lines.
#include "rialto/data/sft_reader.h"

#include "rialto/base/json.h"
#include "rialto/data/line_reader.h"
#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::error_of;
using data_test::sample_text;

class SftReaderTest : public data_test::DataTest {
 protected:
  SftReaderTest() {
    std::vector<std::string> texts{sample_text(30)};
    size_t i = 0;
    write("tok/tokenizer.json",
          hub::train_bpe({.vocab_size = 300}, [&](std::string& text) { return i < 1 && (text = texts[i++], true); }));
    write("tok/tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
  }
  SftFiles files(const std::string& text) { return {.paths = {write("rows.jsonl", text)}}; }
  SftEncoder encoder() const { return SftEncoder({.tokenizer = dir_ / "tok"}); }
  std::vector<SftItem> read(const SftFiles& files, const BadSftRow& bad = nullptr) const {
    std::vector<SftItem> items;
    const SftEncoder encoder = this->encoder();
    read_sft(files, encoder, [&](const SftItem& item) { items.push_back(item); }, bad, nullptr);
    return items;
  }
};

std::string row(int number) { return R"({"prompt": "p)" + std::to_string(number) + R"(", "completion": "café"})"; }

TEST_F(SftReaderTest, RowsComeInOrderWhateverTheThreads) {
  std::string text;
  for (int i = 0; i < 10000; ++i) text += row(i) + (i % 7 == 0 ? "\r\n\n" : "\n");
  SftFiles all = files(text);
  const std::vector<SftItem> one = read(all);
  all.threads = 3;
  const std::vector<SftItem> three = read(all);
  ASSERT_EQ(one.size(), 10000u);
  ASSERT_EQ(three.size(), 10000u);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].sample.ids, three[i].sample.ids);
    EXPECT_EQ(one[i].row.prompt, "p" + std::to_string(i));
  }
  EXPECT_TRUE(one[1].where.ends_with("rows.jsonl:3")) << one[1].where;  // a blank line is a line
  all.first = 9998;
  all.count = 1;
  ASSERT_EQ(read(all).size(), 1u);
  EXPECT_EQ(read(all)[0].row.prompt, "p9998");
}

TEST_F(SftReaderTest, TheFirstBadRowEndsTheRunUnlessSomebodyTakesIt) {
  const SftFiles some =
      files(row(0) + "\n{\n" + row(1) + "\n\xff\n" + R"({"prompt": "p", "chosen": "a", "rejected": "b"})");
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { read(some); }).find("rows.jsonl:2"), std::string::npos);
  std::vector<std::string> bad;
  EXPECT_EQ(read(some, [&](const Error& error, const std::string& where,
                           std::string_view line) { bad.push_back(quarantine_line(error, where, line)); })
                .size(),
            2u);
  ASSERT_EQ(bad.size(), 3u);
  EXPECT_EQ(Json::parse(bad[0])["row"], 2);
  EXPECT_EQ(Json::parse(bad[0])["text"], "{");
  EXPECT_EQ(Json::parse(bad[1])["hex"], "ff");
  EXPECT_NE(bad[2].find("preference pair"), std::string::npos);
}

TEST_F(SftReaderTest, LongRowsAreRefusedCutOrLeftOut) {
  SftFiles some = files(R"({"prompt": "p", "completion": "abcdefghijklmnopqrstuvwxyz"})");
  some.max_tokens = 6;
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { read(some); }).find("want at most 6"), std::string::npos);
  some.truncation = Truncation::kRight;
  const SftItem cut = read(some)[0];
  EXPECT_EQ(cut.sample.ids.size(), 6u);
  EXPECT_EQ(cut.sample.weights, (std::vector<float>{0, 1, 1, 1, 1, 1}));
  EXPECT_GT(cut.tokens_before_cut, 6);
  some.truncation = Truncation::kDrop;
  EXPECT_TRUE(read(some)[0].left_out);
  // a prompt that fills the room leaves nothing to learn
  some = files(R"({"prompt": "abcdefghijklmnopqrstuvwxyz", "completion": "c"})");
  some.max_tokens = 6;
  some.truncation = Truncation::kRight;
  EXPECT_NE(error_of(ErrorKind::kInput, [&] { read(some); }).find("nothing is trained in its first 6"),
            std::string::npos);
}

TEST_F(SftReaderTest, LinesEndWithEitherEndAndTheLastNeedsNone) {
  std::string text = "a\r\n\nb";
  text += std::string(3u << 20, 'x');
  LineReader lines(write("lines", text));
  std::vector<size_t> sizes;
  for (std::string_view line; lines.next(line);) sizes.push_back(line.size());
  EXPECT_EQ(sizes, (std::vector<size_t>{1, 0, (3u << 20) + 1}));
  EXPECT_EQ(lines.bytes_read(), lines.total_bytes());
  EXPECT_TRUE(lines.where().ends_with("lines:3"));
}

}  // namespace
}  // namespace rialto::data
