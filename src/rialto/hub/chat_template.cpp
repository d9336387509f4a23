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
  const auto* const given = std::ranges::find_if(kReasoning, [&](const char* key) { return message.contains(key); });
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

/// The text that a folder holds as its default template, and its template for tools, if any.
std::pair<std::string, std::string> find_templates(const fs::path& dir) {
  std::pair<std::string, std::string> found;
  if (fs::exists(dir / "chat_template.jinja")) {
    found.first = read_text_file(dir / "chat_template.jinja", kMostBytes);
    const fs::path tools = dir / "additional_chat_templates" / "tool_use.jinja";
    if (fs::exists(tools)) found.second = read_text_file(tools, kMostBytes);
    return found;
  }
  const fs::path file = dir / "tokenizer_config.json";
  const Json config = fs::exists(file) ? read_json_file(file) : Json::object();
  const auto entry = config.is_object() ? config.find("chat_template") : config.end();
  if (entry == config.end()) return found;
  if (entry->is_string()) found.first = entry->get<std::string>();
  if (!entry->is_array()) return found;
  const auto text = [](const Json& named, const char* key) {
    return named.is_object() && named.contains(key) && named[key].is_string() ? named[key].get<std::string>() : "";
  };
  for (const Json& named : *entry) {
    if (text(named, "name") == "default") found.first = text(named, "template");
    if (text(named, "name") == "tool_use") found.second = text(named, "template");
  }
  return found;
}

}  // namespace

class ChatTemplate::Parsed {
 public:
  Parsed(std::string_view text, const std::string& where) : text_(text) {
    OwnedBytes error;
    if (rialto_chat_load(bytes_of(text), text.size(), &handle_, &error.bytes) != 0)
      throw Error(ErrorKind::kInput, where, "the chat template does not parse: " + error.text());
  }
  ~Parsed() { rialto_chat_free(handle_); }
  Parsed(const Parsed&) = delete;
  Parsed& operator=(const Parsed&) = delete;
  const void* handle() const { return handle_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  void* handle_ = nullptr;
};

ChatTemplate::ChatTemplate(std::string_view text, Json special_tokens)
    : plain_(std::make_shared<const Parsed>(text, where_)), special_tokens_(std::move(special_tokens)) {}

ChatTemplate::ChatTemplate(const fs::path& dir) : where_(dir.string()), special_tokens_(special_tokens(dir)) {
  const auto [plain, with_tools] = find_templates(dir);
  if (plain.empty())
    throw Error(ErrorKind::kInput, where_, "has no chat template",
                {.got = {}, .want = "chat_template.jinja, or chat_template in tokenizer_config.json"});
  plain_ = std::make_shared<const Parsed>(plain, where_);
  if (!with_tools.empty()) with_tools_ = std::make_shared<const Parsed>(with_tools, where_);
}

const ChatTemplate::Parsed& ChatTemplate::parsed(const Json& tools) const {
  return tools.is_null() || !with_tools_ ? *plain_ : *with_tools_;
}

ChatText ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  Json context = special_tokens_;
  context.update(options.variables);
  context["messages"] = prepared(messages, where_);
  context["tools"] = options.tools;
  context["documents"] = options.documents;
  context["add_generation_prompt"] = options.add_generation_prompt;
  const std::string given = context.dump(-1, ' ', false, Json::error_handler_t::replace);
  OwnedBytes out, error;
  OwnedIds spans;
  if (rialto_chat_render(parsed(options.tools).handle(), bytes_of(given), given.size(), options.now.value_or(-1),
                         &out.bytes, &spans.ids, &error.bytes) != 0)
    throw Error(ErrorKind::kInput, where_, "the chat template says: " + error.text());
  return {out.text(), spans.pairs()};
}

bool ChatTemplate::marks_generation(const Json& tools) const {
  return rialto_chat_has_markers(parsed(tools).handle()) != 0;
}

const std::string& ChatTemplate::source(const Json& tools) const { return parsed(tools).text(); }

}  // namespace rialto::hub
