// Chat templates: a conversation as the text that a model was trained on, rendered as transformers renders it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::hub {

/// Bytes [first, second) of a text.
using TextSpan = std::pair<size_t, size_t>;

struct ChatText {
  std::string text;
  std::vector<TextSpan> generated;  ///< what the template marks with {% generation %}, in order
};

/// What a template is given beside the messages.
struct ChatOptions {
  Json tools = nullptr, documents = nullptr;
  Json variables = Json::object();  ///< the template's own, such as enable_thinking
  bool add_generation_prompt = false;
  /// For strftime_now, in seconds of the epoch, told in UTC; unset: a template that asks for the date is refused.
  std::optional<int64_t> now = {};
};

class ChatTemplate {
 public:
  /// Of a tokenizer folder: chat_template.jinja (and additional_chat_templates/tool_use.jinja), else `chat_template` of
  /// tokenizer_config.json; of several named ones "tool_use" for conversations with tools and else "default". Special
  /// tokens are the folder's. Throws kInput when there is none, or when it does not parse.
  explicit ChatTemplate(const fs::path& dir);
  ChatTemplate(std::string_view text, Json special_tokens);

  /// `messages`: a list of objects. Keys whose value is null are left out, and reasoning is given under each of its
  /// names, as transformers does. Thread-safe. Throws kInput with the template's own complaint.
  /// Source: transformers/tokenization_utils_base.py (5.23), apply_chat_template.
  ChatText render(const Json& messages, const ChatOptions& options) const;
  /// True when the template marks what the assistant generates.
  bool marks_generation(const Json& tools = nullptr) const;
  const std::string& source(const Json& tools = nullptr) const;  ///< the template's text

 private:
  class Parsed;
  const Parsed& parsed(const Json& tools) const;

  std::string where_ = "chat template";
  std::shared_ptr<const Parsed> plain_, with_tools_;  ///< the second: null unless the folder has one
  Json special_tokens_ = Json::object();
};

}  // namespace rialto::hub
