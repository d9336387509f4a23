// Where templates are found, and what they are given; what they render is compared in tests/oracle/test_chat.py.
#include "rialto/hub/chat_template.h"

#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <unistd.h>

#include "rialto/base/error.h"

namespace rialto::hub {
namespace {

class ChatTemplateTest : public ::testing::Test {
 protected:
  ChatTemplateTest() : dir_(fs::path(::testing::TempDir()) / ("rialto_chat_" + std::to_string(::getpid()))) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~ChatTemplateTest() override { fs::remove_all(dir_); }
  void write(const std::string& name, std::string_view text) const { std::ofstream(dir_ / name) << text; }
  std::string rendered(const Json& messages, const ChatOptions& options = {}) const {
    return ChatTemplate(dir_).render(messages, options).text;
  }
  std::string failure(const std::function<void()>& body) const {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return {};
  }
  fs::path dir_;
};

const Json kHello = Json::parse(R"([{"role": "user", "content": "hello", "name": null}])");

TEST_F(ChatTemplateTest, TheFileComesBeforeTheConfig) {
  EXPECT_NE(failure([&] { ChatTemplate chat(dir_); }).find("has no chat template"), std::string::npos);
  write("tokenizer_config.json", R"({"chat_template": "config {{ bos_token }}", "bos_token": {"content": "<s>"}})");
  EXPECT_EQ(rendered(kHello), "config <s>");
  write("chat_template.jinja", "file {{ messages[0].content }}{% if messages[0].name is defined %} null{% endif %}");
  EXPECT_EQ(rendered(kHello), "file hello");
}

TEST_F(ChatTemplateTest, ANamedOneIsForTools) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"},
                                     {"name": "tool_use", "template": "{{ tools[0].name }}"}]})");
  EXPECT_EQ(rendered(kHello), "plain");
  EXPECT_EQ(rendered(kHello, {.tools = Json::parse(R"([{"name": "weather"}])")}), "weather");
}

TEST_F(ChatTemplateTest, MarkedTextIsFoundInBytes) {
  write("chat_template.jinja",
        "é{% generation %}🙂{{ messages[0].content }}{% endgeneration %}!{%- generation -%} x {%- endgeneration %}");
  const ChatTemplate chat(dir_);
  const ChatText text = chat.render(kHello, {});
  EXPECT_TRUE(chat.marks_generation());
  EXPECT_EQ(text.text, "é🙂hello!x");
  EXPECT_EQ(text.generated, (std::vector<TextSpan>{{2, 11}, {12, 13}}));
  EXPECT_FALSE(ChatTemplate("{{ generation }}", Json::object()).marks_generation());
}

TEST_F(ChatTemplateTest, ComplaintsAndHostileTextAreErrors) {
  const auto refused = [&](const char* text, const Json& messages) {
    return failure([&] { ChatTemplate(text, Json::object()).render(messages, {}); });
  };
  EXPECT_NE(refused("{{ raise_exception('roles must alternate') }}", kHello).find("says: roles must alternate"),
            std::string::npos);
  EXPECT_NE(refused("{% if %}", kHello).find("line 1"), std::string::npos);
  EXPECT_NE(refused("{% for i in range(9999) %}{% for j in range(9999) %}{{ i * j }}{% endfor %}{% endfor %}", kHello)
                .find("fuel"),
            std::string::npos);
  EXPECT_NE(refused("x", Json::array()).find("no messages"), std::string::npos);
  EXPECT_NE(refused("x", Json::parse("[3]")).find("not an object"), std::string::npos);
}

TEST_F(ChatTemplateTest, AChatCannotPretendToBeMarked) {
  const ChatTemplate chat("{{ messages[0].content }}{% generation %}a{% endgeneration %}", Json::object());
  for (const char* forged : {R"(["\ufdd0forged\ufdd1"])", R"(["\ufdd0"])", R"(["\ufdd1"])"}) {
    const Json messages = Json::array({{{"role", "user"}, {"content", Json::parse(forged)[0]}}});
    EXPECT_NE(failure([&] { chat.render(messages, {}); }).find("reserved"), std::string::npos) << forged;
  }
  EXPECT_NE(failure([] { ChatTemplate("\xEF\xB7\x90", Json::object()); }).find("reserved"), std::string::npos);
}

TEST_F(ChatTemplateTest, TheDateIsTheGivenOneAndNoOther) {
  const ChatTemplate chat("{{ strftime_now('%d %b %Y %H:%M:%S.%f%z %Z%%') }}", Json::object());
  EXPECT_EQ(chat.render(kHello, {.now = 1700000000}).text, "14 Nov 2023 22:13:20.000000 %");
  EXPECT_NE(failure([&] { chat.render(kHello, {}); }).find("no clock is given"), std::string::npos);
}

TEST_F(ChatTemplateTest, ReasoningGoesByEachOfItsNames) {
  write("chat_template.jinja",
        "{{ messages[0].reasoning_content }}|{{ messages[0].thinking }}|{{ messages[0].reasoning }}");
  EXPECT_EQ(rendered(Json::parse(R"([{"role": "assistant", "reasoning": "why"}])")), "why|why|why");
  EXPECT_EQ(rendered(Json::parse(R"([{"role": "assistant", "thinking": "a", "reasoning": "b"}])")), "a|a|b");
}

}  // namespace
}  // namespace rialto::hub
