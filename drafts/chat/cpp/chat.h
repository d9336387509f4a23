// Conversations as tokens, and which of them carry loss.
#pragma once

#include <string>
#include <vector>

#include "rialto/hub/chat_template.h"
#include "rialto/hub/tokenizer.h"

namespace rialto::data {

/// Which tokens a conversation trains: what the assistant says, its last turn alone, or everything.
enum class LossMode { kAssistant, kLastTurn, kFull };

/// A row of a chat file.
struct Conversation {
  Json messages = Json::array();
  Json tools = nullptr;                ///< null: none
  Json variables = Json::object();     ///< for the template
};

/// `messages` or `conversation`, or ShareGPT's `conversations` (from, value; optional `system`), with optional `tools` and
/// `chat_template_kwargs`; or `prompt` and `completion` (also `input` and `output`), each a text or a list of messages.
/// Throws kInput, with `where`.
Conversation conversation_of(const Json& row, const std::string& where);

struct ChatTokens {
  std::string text;
  std::vector<int32_t> ids;
  std::vector<hub::TextSpan> places;  ///< bytes of `text`, one span a token
  std::vector<uint8_t> trained;       ///< 1: the token is to be learned, so it counts where it is the label
};

/// Renders with the folder's template, tokenizes without the tokenizer's own, and marks what is trained: where the
/// template marks what it generates, those spans; else, for each assistant message, what rendering up to and with it adds
/// to rendering up to it with a generation prompt, which must be the text's own beginning.
/// Throws kInput, with `where`: the template's complaint, a template whose turns cannot be told apart (it renders a turn
/// differently when more follow), and a row in which nothing is trained.
ChatTokens chat_tokens(const hub::ChatTemplate& chat, const hub::Tokenizer& tokenizer, const Conversation& row,
                       LossMode mode, const std::string& where);

}  // namespace rialto::data
