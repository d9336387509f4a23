// Chat templates: what is given to them, and the border to the Rust crate.
#include "rialto/hub/chat_template.h"

#include <algorithm>
#include <array>

#include "rialto/base/error.h"
#include "rialto/hub/chat_abi.h"
#include "rialto/hub/rust_bytes.h"
#include "rialto/hub/special_tokens.h"

namespace rialto::hub {
namespace {

constexpr uint64_t kMostBytes = 16u << 20;
/// A message's reasoning goes by these; the first is what templates read.
constexpr std::array<const char*, 3> kReasoning{"reasoning_content", "thinking", "reasoning"};

/// Source: transformers/utils/chat_template_utils.py, _alias_reasoning_fields.
Json with_reasoning(const Json& message) {
  const auto given = std::ranges::find_if(kReasoning, [&](const char* key) { return message.contains(key); });
  if (given == kReasoning.end()) return message;
  Json out = Json::object();
  out["thinking"] = message.at(*given);
  out.update(message);
  out["reasoning_content"] = message.at(*given);
  return out;
}

Json prepared(const Json& messages, const std::string& where) {
  if (!messages.is_array() || messages.empty())
    throw Error(ErrorKind::kInput, where, "no messages", {.got = {}, .want = "a list of at least one"});
  Json out = Json::array();
  for (const Json& message : messages) {
    if (!message.is_object())
      throw Error(ErrorKind::kInput, where, "a message is not an object", {.got = message.type_name()});
    Json kept = Json::object();
    for (const auto& [key, value] : message.items())
      if (!value.is_null()) kept[key] = value;
    out.push_back(with_reasoning(kept));
  }
  return out;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string text, Json special_tokens)
    : text_(std::move(text)), special_tokens_(std::move(special_tokens)) {}

ChatTemplate::ChatTemplate(const fs::path& dir) : where_(dir.string()), special_tokens_(special_tokens(dir)) {
  if (fs::exists(dir / "chat_template.jinja")) {
    text_ = read_text_file(dir / "chat_template.jinja", kMostBytes);
    return;
  }
  const fs::path file = dir / "tokenizer_config.json";
  const Json config = fs::exists(file) ? read_json_file(file) : Json::object();
  const auto found = config.is_object() ? config.find("chat_template") : config.end();
  if (found != config.end() && found->is_string()) text_ = found->get<std::string>();
  if (found != config.end() && found->is_array()) {
    for (const Json& named : *found) {
      const std::string name = named.value("name", "");
      if (name == "default") text_ = named.value("template", "");
      if (name == "tool_use") with_tools_ = named.value("template", "");
    }
  }
  if (text_.empty())
    throw Error(ErrorKind::kInput, where_, "has no chat template",
                {.got = {}, .want = "chat_template.jinja, or chat_template in tokenizer_config.json"});
}

const std::string& ChatTemplate::source(const Json& tools) const {
  return tools.is_null() || with_tools_.empty() ? text_ : with_tools_;
}

ChatText ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  Json context = special_tokens_;
  context.update(options.variables);
  context["messages"] = prepared(messages, where_);
  context["tools"] = options.tools;
  context["documents"] = options.documents;
  context["add_generation_prompt"] = options.add_generation_prompt;
  const std::string& text = source(options.tools);
  const std::string given = context.dump(-1, ' ', false, Json::error_handler_t::replace);
  OwnedBytes out, error;
  OwnedIds spans;
  if (rialto_chat_render(bytes_of(text), text.size(), bytes_of(given), given.size(), options.now.value_or(-1), &out.bytes,
                         &spans.ids, &error.bytes) != 0)
    throw Error(ErrorKind::kInput, where_, "the chat template says: " + error.text());
  return {out.text(), spans.pairs()};
}

bool ChatTemplate::marks_generation(const Json& tools) const {
  const std::string& text = source(tools);
  return rialto_chat_has_markers(bytes_of(text), text.size()) != 0;
}

}  // namespace rialto::hub
