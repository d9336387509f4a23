// Chat templates: a conversation as the text that a model was trained on, rendered as transformers renders it.
#pragma once

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
  std::vector<TextSpan> generated;  ///< what the template marks with {% generation %}
};

/// What a template is given beside the messages.
struct ChatOptions {
  Json tools = nullptr, documents = nullptr;
  Json variables = Json::object();  ///< the template's own, such as enable_thinking
  bool add_generation_prompt = false;
  std::optional<int64_t> now = {};  ///< for strftime_now, in seconds of the epoch; unset: the clock's
};

class ChatTemplate {
 public:
  /// Of a tokenizer folder: chat_template.jinja, else `chat_template` of tokenizer_config.json, of several named ones
  /// "tool_use" for conversations with tools and else "default". Special tokens are the config's. Throws kInput when
  /// there is none.
  explicit ChatTemplate(const fs::path& dir);
  ChatTemplate(std::string text, Json special_tokens);

  /// `messages`: a list of objects. Keys whose value is null are left out, and reasoning is given under each of its
  /// names, as transformers does. Throws kInput with the template's own complaint.
  /// Source: transformers/tokenization_utils_base.py, apply_chat_template.
  ChatText render(const Json& messages, const ChatOptions& options) const;
  /// True when the template marks what the assistant generates.
  bool marks_generation(const Json& tools = nullptr) const;

 private:
  const std::string& source(const Json& tools) const;

  std::string where_ = "chat template";
  std::string text_, with_tools_;  ///< the second is empty unless the folder has one
  Json special_tokens_ = Json::object();
};

}  // namespace rialto::hub
