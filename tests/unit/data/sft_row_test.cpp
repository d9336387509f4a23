// Forms of rows; what they become as tokens is compared in tests/oracle/test_sft_rows.py.
#include "rialto/data/sft_row.h"

#include <random>

#include "tests/unit/data/fixture.h"

namespace rialto::data {
namespace {

using data_test::error_of;

ParsedRow parsed(const char* text) { return parse_sft_row(Json::parse(text), "f.jsonl:3"); }

std::string refused(const char* text) {
  const std::string error = error_of(ErrorKind::kInput, [&] { parsed(text); });
  EXPECT_TRUE(error.starts_with("[f.jsonl:3")) << error;
  return error;
}

TEST(SftRowTest, ConversationsKeepTheirMessagesAndWeights) {
  const SftRow row = parsed(R"({"messages": [{"role": "user", "content": "q", "name": "n"},
                                {"role": "assistant", "content": null, "weight": 0.5}], "weight": 2, "id": 7,
                                "tools": [{"name": "t"}], "chat_template_kwargs": {"a": 1}})")
                         .row;
  EXPECT_EQ(row.messages, Json::parse(R"([{"role": "user", "content": "q", "name": "n"},
                                          {"role": "assistant", "content": null}])"));
  EXPECT_EQ(row.message_weights, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(row.weight, 2);
  EXPECT_EQ(row.tools[0]["name"], "t");
  EXPECT_EQ(row.variables, Json::parse(R"({"a": 1})"));
  EXPECT_FALSE(row.is_text());
}

TEST(SftRowTest, ToolsMayBeWrittenAsTextAndNoneIsNone) {
  EXPECT_EQ(parsed(R"({"prompt": "p", "completion": "c", "tools": "[{\"name\": \"t\"}]"})").row.tools[0]["name"], "t");
  for (const char* none : {"null", "[]", "\"\"", "\"[]\""})
    EXPECT_TRUE(parsed((R"({"prompt": "p", "completion": "c", "tools": )" + std::string(none) + "}").c_str())
                    .row.tools.is_null())
        << none;
  EXPECT_NE(refused(R"({"prompt": "p", "completion": "c", "tools": "[1"})").find("tools"), std::string::npos);
}

TEST(SftRowTest, PromptsAreContextWhateverTheyHold) {
  const SftRow row = parsed(R"({"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
                                           {"role": "user", "content": "r"}], "completion": "b"})")
                         .row;
  EXPECT_EQ(row.message_weights, (std::vector<double>{0, 0, 0, 1}));
  EXPECT_EQ(row.messages[3], Json::parse(R"({"role": "assistant", "content": "b"})"));
  EXPECT_TRUE(parsed(R"({"prompt": "p", "completion": "c"})").row.is_text());
}

TEST(SftRowTest, PairsHaveTwoAnswers) {
  const ParsedRow pair = parsed(R"({"prompt": "p", "chosen": "c", "rejected": "r", "weight": 3})");
  ASSERT_TRUE(pair.rejected);
  EXPECT_EQ(pair.row.completion, "c");
  EXPECT_EQ(pair.rejected->completion, "r");
  EXPECT_EQ(pair.rejected->weight, 3);
  // as some files have it: either answer repeats the prompt
  const ParsedRow whole =
      parsed(R"({"prompt": "p", "chosen": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}],
      "rejected": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}]})");
  EXPECT_EQ(whole.row.messages.size(), 2u);
  EXPECT_EQ(whole.rejected->messages[1]["content"], "r");
}

TEST(SftRowTest, EveryKindOfBadRowIsNamed) {
  EXPECT_NE(refused("[1]").find("not a row"), std::string::npos);
  EXPECT_NE(refused(R"({"text": "x"})").find("want messages"), std::string::npos);
  EXPECT_NE(refused(R"({"messages": "x"})").find("not a list"), std::string::npos);
  EXPECT_NE(refused(R"({"messages": [3]})").find("not an object"), std::string::npos);
  EXPECT_NE(refused(R"({"messages": [{"role": 3, "content": "x"}]})").find("no role"), std::string::npos);
  EXPECT_NE(refused(R"({"conversations": [{"from": "gpt"}]})").find("no value"), std::string::npos);
  EXPECT_NE(refused(R"({"conversations": [{"from": "function_call", "value": "x"}]})").find("function_call"),
            std::string::npos);
  EXPECT_NE(refused(R"({"prompt": 3, "completion": "c"})").find("neither text nor messages"), std::string::npos);
  EXPECT_NE(refused(R"({"messages": [{"role": "user", "content": "x", "weight": -1}]})").find("weight"),
            std::string::npos);
  EXPECT_NE(refused(R"({"prompt": "p", "completion": "c", "weight": "2"})").find("weight"), std::string::npos);
  EXPECT_NE(refused(R"({"prompt": "p", "completion": "c", "weight": 1e300})").find("a million"), std::string::npos);
  EXPECT_NE(refused(R"({"prompt": "p", "completion": "c", "documents": {}})").find("documents"), std::string::npos);
  EXPECT_NE(refused(R"({"prompt": "p", "completion": "c", "chat_template_kwargs": []})").find("kwargs"),
            std::string::npos);
}

Json drawn(std::mt19937& draw, int depth) {
  static const std::vector<Json> kPlain{nullptr, true, 0, -1.5, 1e300, "", "user", "assistant", "[1]", "{}", "x"};
  static const std::vector<std::string> kKeys{
      "messages",   "conversations", "role",     "content",   "from",      "value",
      "weight",     "tool_calls",    "function", "arguments", "system",    "prompt",
      "completion", "chosen",        "rejected", "tools",     "documents", "chat_template_kwargs"};
  const auto kind = draw() % (depth > 0 ? 4 : 2);
  if (kind < 2) return kPlain[draw() % kPlain.size()];
  Json out = kind == 2 ? Json::array() : Json::object();
  for (uint32_t left = draw() % 5; left > 0; --left) {
    if (kind == 2)
      out.push_back(drawn(draw, depth - 1));
    else
      out[kKeys[draw() % kKeys.size()]] = drawn(draw, depth - 1);
  }
  return out;
}

TEST(SftRowTest, AnyJsonIsARowOrAnError) {
  std::mt19937 draw(3);
  int rows = 0;
  for (int i = 0; i < 50000; ++i) {
    Json json = drawn(draw, 4);
    if (json.is_object() && i % 2 == 0) json.update(Json{{"prompt", "p"}, {"completion", "c"}});
    try {
      const ParsedRow parsed = parse_sft_row(json, "f:1");
      EXPECT_EQ(parsed.row.messages.size(), parsed.row.message_weights.size());
      ++rows;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kInput) << json;
    }
  }
  EXPECT_GT(rows, 500);
}

}  // namespace
}  // namespace rialto::data
