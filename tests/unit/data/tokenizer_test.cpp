// The tokenizer seam: training, loading, encoding, streaming, and errors across the language border.
#include "rialto/hub/tokenizer.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "rialto/base/json.h"
#include "rialto/hub/special_tokens.h"
#include "tests/unit/data/fixture.h"

namespace rialto::hub {
namespace {

using data_test::DataTest;
using data_test::sample_text;

std::string train(const std::vector<std::string>& texts, const BpeTrainOptions& options) {
  size_t i = 0;
  return train_bpe(options, [&](std::string& text) { return i < texts.size() && (text = texts[i++], true); });
}

std::vector<std::string> texts() {
  std::vector<std::string> out;
  for (int i = 1; i < 40; ++i) out.push_back(sample_text(i));
  return out;
}

class TokenizerTest : public DataTest {
 protected:
  Tokenizer trained(int64_t vocab = 400) {
    return Tokenizer(write("tokenizer.json", train(texts(), {.vocab_size = vocab})));
  }
};

TEST_F(TokenizerTest, TextSurvivesEncodingAndDecoding) {
  const Tokenizer tokenizer = trained();
  EXPECT_EQ(tokenizer.vocab_size(), 400);
  for (const std::string& text : {sample_text(2), std::string("  odd \t\n spaces  "),
                                  std::string("새로운 \xF0\x9F\xA6\x80\0nul", 18), std::string()}) {
    const std::vector<int32_t> ids = tokenizer.encode(text, true);
    EXPECT_EQ(tokenizer.decode(ids, false), text);
    for (const int32_t id : ids) EXPECT_LT(id, 400);
  }
  EXPECT_LT(tokenizer.encode(sample_text(2), false).size(), sample_text(2).size() / 2);
}

TEST_F(TokenizerTest, SpecialTokensAreOneIdAndCanBeLeftOut) {
  const Tokenizer tokenizer = trained();
  ASSERT_EQ(tokenizer.id_of("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer.id_of("no such token"), std::nullopt);
  const std::vector<int32_t> ids = tokenizer.encode("a<|endoftext|>b", false);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 0), 1);
  EXPECT_EQ(tokenizer.decode(ids, true), "ab");
  EXPECT_EQ(tokenizer.decode(ids, false), "a<|endoftext|>b");
}

TEST_F(TokenizerTest, TheSameTextsGiveTheSameBytesWhateverTheThreadsAndTheOrder) {
  std::vector<std::string> reversed = texts();
  std::reverse(reversed.begin(), reversed.end());
  const std::string one = train(texts(), {.vocab_size = 600, .threads = 1});
  EXPECT_EQ(one, train(texts(), {.vocab_size = 600, .threads = 4}));
  EXPECT_EQ(one, train(reversed, {.vocab_size = 600, .threads = 3}));
  EXPECT_NE(one, train({sample_text(40)}, {.vocab_size = 600}));
}

TEST_F(TokenizerTest, AFileThatAsksForTruncationOrPaddingGetsNeither) {
  Json json = parse_json(train(texts(), {.vocab_size = 300}), "test");
  json["truncation"] = {{"direction", "Right"}, {"max_length", 4}, {"strategy", "LongestFirst"}, {"stride", 0}};
  json["padding"] = {{"strategy", {{"Fixed", 64}}},
                     {"direction", "Right"},
                     {"pad_to_multiple_of", nullptr},
                     {"pad_id", 0},
                     {"pad_type_id", 0},
                     {"pad_token", "<|endoftext|>"}};
  const Tokenizer tokenizer(write("tokenizer.json", json.dump()));
  EXPECT_EQ(tokenizer.encode("abcdefgh~", false).size(), trained(300).encode("abcdefgh~", false).size());
  EXPECT_GT(tokenizer.encode("abcdefgh~", false).size(), 4u);
}

TEST_F(TokenizerTest, PiecesOfAStreamAreWholeCharactersAndTogetherTheText) {
  const Tokenizer tokenizer = trained(260);  // hardly any merges: one token a byte
  const std::string text = "naïve 漢字 🙂🙂 end 🦀";
  StreamDecoder stream(tokenizer);
  std::string all;
  for (const int32_t id : tokenizer.encode(text, false)) {
    const std::string piece = stream.push(id);
    EXPECT_EQ(piece.find("\xEF\xBF\xBD"), std::string::npos) << piece;
    all += piece;
  }
  EXPECT_EQ(all, text);
  EXPECT_EQ(stream.finish(), "");
}

TEST_F(TokenizerTest, AStreamThatEndsInsideACharacterSaysSoAtTheEnd) {
  const Tokenizer tokenizer = trained(260);
  const std::vector<int32_t> ids = tokenizer.encode("ab🙂", false);
  StreamDecoder stream(tokenizer);
  std::string all;
  for (size_t i = 0; i + 1 < ids.size(); ++i) all += stream.push(ids[i]);
  EXPECT_EQ(all, "ab");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST_F(TokenizerTest, AStreamOfBrokenCharactersGoesOn) {
  const Tokenizer tokenizer = trained(260);
  const int32_t lead = tokenizer.encode("🙂", false).front();
  StreamDecoder stream(tokenizer);
  std::string all;
  for (int i = 0; i < 40; ++i) all += stream.push(lead);
  EXPECT_FALSE(all.empty());
  for (const int32_t id : tokenizer.encode(" fine", false)) all += stream.push(id);
  EXPECT_TRUE((all + stream.finish()).ends_with(" fine"));
}

TEST_F(TokenizerTest, AStreamLeavesSpecialTokensOutWhenAsked) {
  const Tokenizer tokenizer = trained();
  for (const bool skip : {true, false}) {
    StreamDecoder stream(tokenizer, skip);
    std::string all;
    for (int i = 0; i < 20; ++i) all += stream.push(0);
    for (const int32_t id : tokenizer.encode("x y", false)) all += stream.push(id);
    all += stream.finish();
    EXPECT_TRUE(all.ends_with("x y"));
    EXPECT_EQ(all.size() == 3, skip);
  }
}

TEST_F(TokenizerTest, DamagedFilesAreNamed) {
  const std::string good = train(texts(), {.vocab_size = 300});
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[1]"), good.substr(0, good.size() / 2),
        std::string("{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": [\"a b\"]}}")}) {
    const fs::path path = write("bad/tokenizer.json", bad);
    const std::string message =
        data_test::error_of(ErrorKind::kInput, [&] { Tokenizer tokenizer(path.parent_path()); });
    EXPECT_NE(message.find("tokenizer.json"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  EXPECT_NE(
      data_test::error_of(ErrorKind::kInput, [&] { Tokenizer tokenizer(dir_ / "bad/.."); }).find("no tokenizer.json"),
      std::string::npos);
}

TEST_F(TokenizerTest, BadArgumentsAreErrorsNotCrashes) {
  const Tokenizer tokenizer = trained();
  data_test::error_of(ErrorKind::kInput, [&] { tokenizer.encode("caf\xE9", false); });
  data_test::error_of(ErrorKind::kInput, [&] { tokenizer.decode(std::vector<int32_t>{-1}, false); });
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{2000000000}, false), "");
  data_test::error_of(ErrorKind::kConfig, [] { train({"a"}, {.vocab_size = 256}); });
  data_test::error_of(ErrorKind::kConfig, [] { train({"a"}, {.vocab_size = 0}); });
  data_test::error_of(ErrorKind::kConfig, [] { train({"a"}, {.special_tokens = {"<e>", "<e>"}}); });
  data_test::error_of(ErrorKind::kConfig, [] { train({"a"}, {.special_tokens = {""}}); });
  data_test::error_of(ErrorKind::kConfig, [] { train({"caf\xE9"}, {}); });
}

TEST_F(TokenizerTest, WhatTheTextCallbackThrowsComesOut) {
  EXPECT_NE(data_test::error_of(
                ErrorKind::kStopped,
                [] { train_bpe({}, [](std::string&) -> bool { throw Error(ErrorKind::kStopped, "t", "stop"); }); })
                .find("stop"),
            std::string::npos);
}

TEST_F(TokenizerTest, TheEndOfTextTokenIsReadFromEitherFileAndForm) {
  EXPECT_EQ(eos_token(dir_), std::nullopt);
  write("special_tokens_map.json", "{\"eos_token\": {\"content\": \"</s>\"}}");
  EXPECT_EQ(eos_token(dir_), "</s>");
  write("tokenizer_config.json", "{\"eos_token\": null}");
  EXPECT_EQ(eos_token(dir_), "</s>");
  // as transformers: the map counts unless the config lists the added tokens itself
  write("tokenizer_config.json", "{\"eos_token\": \"<eos>\"}");
  EXPECT_EQ(eos_token(dir_), "</s>");
  write("tokenizer_config.json", "{\"eos_token\": \"<eos>\", \"added_tokens_decoder\": {}}");
  EXPECT_EQ(eos_token(dir_), "<eos>");
}

TEST_F(TokenizerTest, NamedSpecialTokensOfAnyNameAreListed) {
  write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "pad_token": null, "chat_template": "x",
                                     "extra_special_tokens": {"image_token": "<img>", "n": 3}})");
  EXPECT_EQ(special_tokens(dir_), Json::parse(R"({"bos_token": "<s>", "image_token": "<img>"})"));
}

TEST_F(TokenizerTest, PlacesAreBytesOfTheText) {
  const Tokenizer tokenizer = trained();
  const std::string text = "def 漢<|endoftext|> function_1";
  const PlacedTokens placed = tokenizer.encode_places(text);
  EXPECT_EQ(placed.ids, tokenizer.encode(text, false));
  ASSERT_EQ(placed.places.size(), placed.ids.size());
  size_t end = 0;
  for (size_t i = 0; i < placed.ids.size(); ++i) {
    const auto [begin, stop] = placed.places[i];
    EXPECT_TRUE(begin == end || (i > 0 && placed.places[i] == placed.places[i - 1])) << i;
    if (placed.ids[i] == 0) EXPECT_EQ(text.substr(begin, stop - begin), "<|endoftext|>");
    end = stop;
  }
  EXPECT_EQ(end, text.size());
  EXPECT_EQ(tokenizer.special_tokens(), std::vector<std::string>{"<|endoftext|>"});
}

/// tiktoken's file: the bytes have the ranks 0 to 255, then "ab", "bc", "abc".
std::string byte_ranks() {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string lines;
  for (size_t byte = 0; byte < 256; ++byte) {
    lines += kDigits[byte >> 2];
    lines += kDigits[(byte & 3) << 4];
    lines += "== " + std::to_string(byte) + "\n";
  }
  return lines + "YWI= 256\nYmM= 257\nYWJj 258\n";
}

TEST_F(TokenizerTest, RanksAreMergedByTheirOrderInsideTheWordsOfThePattern) {
  const fs::path file = write("ranks/toy.tiktoken", byte_ranks());
  write("ranks/toy.tiktoken.pattern", "[a-z]+|[^a-z]\n");
  const Tokenizer tokenizer(dir_ / "ranks");
  EXPECT_EQ(tokenizer.encode("abc", false), (std::vector<int32_t>{258}));
  EXPECT_EQ(tokenizer.encode("abbc", false), (std::vector<int32_t>{256, 257}));
  EXPECT_EQ(tokenizer.encode("a bc", false), (std::vector<int32_t>{'a', ' ', 257}));
  EXPECT_EQ(tokenizer.encode("abc", true), (std::vector<int32_t>{258}));
  EXPECT_EQ(tokenizer.vocab_size(), 259);
  EXPECT_EQ(tokenizer.id_of("bc"), 257);
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{256, 'c', 700, 0xC3}, false), "abc\xEF\xBF\xBD");
  write("ranks/tokenizer_config.json",
        R"({"add_bos_token": true, "bos_token": "<s>", "eos_token": {"content": "</s>"}, "add_eos_token": true,
            "added_tokens_decoder": {"259": {"content": "<s>"}, "262": {"content": "</s>"}}})");
  const Tokenizer with(file);
  EXPECT_EQ(with.encode("abc", true), (std::vector<int32_t>{259, 258, 262}));
  EXPECT_EQ(with.encode("<s>", false).size(), 3u);  // text never is a special token
  EXPECT_EQ(with.vocab_size(), 263);
  EXPECT_EQ(with.decode(std::vector<int32_t>{259, 258, 262}, true), "abc");
  EXPECT_EQ(with.decode(std::vector<int32_t>{259, 258, 262}, false), "<s>abc</s>");
  write("ranks/tokenizer_config.json", R"({"add_bos_token": true, "bos_token": "<none>"})");
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { Tokenizer again(file); }).find("<none>"), std::string::npos);
}

TEST_F(TokenizerTest, RanksWithoutAPatternAreRefused) {
  const fs::path file = write("ranks/toy.tiktoken", byte_ranks());
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { Tokenizer tokenizer(file); }).find("259 ranks"),
            std::string::npos);
  write("ranks/other.tiktoken", byte_ranks());
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { Tokenizer tokenizer(dir_ / "ranks"); }).find("several"),
            std::string::npos);
  EXPECT_NE(data_test::error_of(ErrorKind::kInput, [&] { Tokenizer noise(write("noise.model", "\x0A\x0Cnoise")); })
                .find("SentencePiece"),
            std::string::npos);
}

}  // namespace
}  // namespace rialto::hub
