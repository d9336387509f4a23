// A row of a fine-tuning file, in any of the forms that such files have.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/json.h"

namespace rialto::data {

/// A conversation, or a text and how it goes on.
struct SftRow {
  Json messages = Json::array();        ///< of a conversation: [{"role", "content", ...}, ...]; empty for texts
  std::vector<double> message_weights;  ///< one a message; 0: the answer is context alone
  Json tools = nullptr, documents = nullptr;
  Json variables = Json::object();  ///< for the chat template
  std::string prompt, completion;   ///< of texts
  double weight = 1;                ///< of the whole row
  bool is_text() const { return messages.empty(); }
};

/// The keys that such a row is read by.
inline constexpr std::array<std::string_view, 15> kSftKeys{
    "messages",    "conversation", "conversations", "system", "prompt",    "completion",           "input", "output",
    "instruction", "chosen",       "rejected",      "tools",  "documents", "chat_template_kwargs", "weight"};

struct ParsedRow {
  SftRow row;                      ///< of a preference pair: the chosen answer
  std::optional<SftRow> rejected;  ///< of a pair only
};

/// One of, in this order:
///   messages | conversation: [{"role", "content", ["weight"]}, ...]
///   conversations: ShareGPT's [{"from", "value"}, ...] (or as messages), optional "system"
///   chosen, rejected: two answers (text or messages) to "prompt", or two whole conversations
///   prompt, completion | input, output: texts as they stand, or lists of messages, of which the completion's are
///   trained
/// with optional "tools" (a list, or its JSON as text; an empty one is none), "documents", "chat_template_kwargs",
/// "weight". Arguments of tool calls that are JSON written as text become objects, as servers do for templates. Other
/// keys are the file's own. Throws kInput with `where`.
ParsedRow parse_sft_row(const Json& row, const std::string& where);

}  // namespace rialto::data
