// Files of chats: looked at as the model sees them, and checked before they are paid for.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rialto/base/progress.h"
#include "rialto/data/chat.h"

namespace rialto::data {

struct ChatFiles {
  std::vector<fs::path> paths;  ///< JSONL
  fs::path tokenizer;           ///< folder with tokenizer.json and a chat template
  LossMode loss = LossMode::kAssistant;
};

/// The rows [first, first + count) of the files laid end to end, each with its file:line. Throws kInput at a row that
/// cannot be read.
void view_chats(const ChatFiles& files, int64_t first, int64_t count,
                const std::function<void(const std::string& where, const ChatTokens& row)>& show);

struct ChatCheck {
  int64_t seq_length = 0;   ///< rows of more tokens are counted as too long; 0: none is
  size_t most_listed = 20;  ///< rows at fault that are named
};
/// {"rows", "tokens", "trained", "longest", "too_long", "all_trained", "duplicates", "bad", "faults": ["file:line: what"]}.
/// Bad rows cannot be read, or train nothing; rows that train everything (outside LossMode::kFull), that are too long or
/// that stood in the files before are faults too, for each is a mistake more often than not.
Json check_chats(const ChatFiles& files, const ChatCheck& check, Progress* progress);

}  // namespace rialto::data
