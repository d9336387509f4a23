// The text of a line, and the twelve ways a row can be wrong.
#include "rialto/data/json_row.h"

#include <gtest/gtest.h>

#include "rialto/base/json.h"

namespace rialto::data {
namespace {

std::string_view kind_of(std::string_view line) {
  std::string text;
  const auto fault = text_of_row(line, "text", text);
  return fault ? fault->kind : "";
}

TEST(JsonRow, TheTextOfTheOuterObjectAndNothingElse) {
  for (const auto& [line, want] : std::vector<std::pair<std::string, std::string>>{
           {R"({"text": "a"})", "a"},
           {R"({"meta": {"text": "no"}, "text": "yes", "list": [{"text": "no"}, "text"]})", "yes"},
           {R"({"text": "yes", "meta": {"text": "no"}})", "yes"},
           {R"({"list": ["text", "no"], "text": "\u00e9\n"})", "é\n"},
           {R"({"text": ""})", ""},
           {"\xEF\xBB\xBF{\"text\": \"mark\"}", "mark"},
           {R"( {"id": 18446744073709551615, "f": -1.5e-9, "t": true, "n": null, "text":"x"} )", "x"}}) {
    std::string text = "old";
    const auto fault = text_of_row(line, "text", text);
    EXPECT_FALSE(fault) << line << " " << fault->what;
    EXPECT_EQ(text, want) << line;
  }
}

TEST(JsonRow, EveryKindOfFaultIsToldApart) {
  EXPECT_EQ(kind_of("{\"text\": \"caf\xE9\"}"), fault::kNotUtf8);
  EXPECT_EQ(kind_of("{\"text\": \"a\", \xFF}"), fault::kNotUtf8);
  for (const char* line :
       {"{\"text\": \"a", "{\"text\": \"a\"", "{\"text\": \"a\\", "{", "{\"text\":", "[1, 2", "{\"a\": tr"})
    EXPECT_EQ(kind_of(line), fault::kCutOff) << line;
  for (const char* line : {"hello", "{'text': 'a'}", "{\"text\": \"a\",}", "{\"text\": NaN}", "{\"text\": \"\\ud800\"}",
                           "\x01", "{\"text\": \"tab\there\"}", "{\"text\" \"a\"}", "{\"text\": 01}"})
    EXPECT_EQ(kind_of(line), fault::kNotJson) << line;
  EXPECT_EQ(kind_of("{\"text\": \"a\"} {\"text\": \"b\"}"), fault::kMoreValues);
  EXPECT_EQ(kind_of("{\"text\": \"a\"}}"), fault::kMoreValues);
  EXPECT_EQ(kind_of("{\"text\": \"a\", \"text\": \"b\"}"), fault::kDuplicateKey);
  EXPECT_EQ(kind_of("{\"text\": \"a\", \"m\": [{\"k\": 1, \"k\": 2}]}"), fault::kDuplicateKey);
  EXPECT_EQ(kind_of("{\"text\": \"a\", \"m\": " + std::string(300, '[') + std::string(300, ']') + "}"),
            fault::kTooDeep);
  EXPECT_EQ(kind_of("{\"text\": \"a\", \"n\": 1e999}"), fault::kNumber);
  for (const char* line : {"[\"text\", \"a\"]", "\"text\"", "7", "null", "[{\"text\": \"a\"}]"})
    EXPECT_EQ(kind_of(line), fault::kNotObject) << line;
  EXPECT_EQ(kind_of("{\"body\": \"a\"}"), fault::kNoKey);
  EXPECT_EQ(kind_of("{\"m\": {\"text\": \"a\"}}"), fault::kNoKey);
  EXPECT_EQ(kind_of("{\"text\": null}"), fault::kNull);
  for (const char* line : {"{\"text\": 3}", "{\"text\": [\"a\"]}", "{\"text\": {\"text\": \"a\"}}", "{\"text\": true}"})
    EXPECT_EQ(kind_of(line), fault::kNotText) << line;
}

TEST(JsonRow, AcceptsWhatTheJsonParserAccepts) {
  const std::string good =
      R"({"id": [1, -2.5e3, {"a": "b\u00e9\ud83d\ude42"}], "text": "some \"text\" 漢", "t": null})";
  uint32_t state = 7;
  const auto draw = [&](uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
  };
  const std::string_view alphabet = "{}[]\",:\\u0e1-.ntfx \x01\xC3\xA9";
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string line = good;
    for (uint32_t n = draw(3) + 1; n > 0; --n) {
      const auto at = draw(static_cast<uint32_t>(line.size()));
      switch (draw(3)) {
        case 0:
          line[at] = alphabet[draw(static_cast<uint32_t>(alphabet.size()))];
          break;
        case 1:
          line.erase(at, draw(4));
          break;
        default:
          line.insert(at, 1, alphabet[draw(static_cast<uint32_t>(alphabet.size()))]);
      }
    }
    std::string want, got;
    bool valid = false;
    try {
      const Json value = parse_json(line, "line");
      valid = value.is_object() && value.contains("text") && value.at("text").is_string();
      if (valid) want = value.at("text");
    } catch (const Error&) {
    }
    const auto fault = text_of_row(line, "text", got);
    ASSERT_EQ(!fault, valid) << line << " " << (fault ? fault->what : "");
    if (valid) ASSERT_EQ(got, want) << line;
    accepted += valid ? 1 : 0;
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace rialto::data
