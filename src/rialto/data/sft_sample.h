// A row of a fine-tuning file as tokens, and which of them carry loss.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "rialto/data/sft_row.h"
#include "rialto/hub/chat_template.h"
#include "rialto/hub/tokenizer.h"

namespace rialto::data {

/// Which tokens are trained: what the assistant says, its last turn alone, or everything.
enum class LossMode { kAssistant, kLastTurn, kFull };
/// Of "assistant", "last_turn" and "full", as options and keys spell them; throws kInternal for another.
LossMode loss_mode_of(std::string_view name);

struct SftOptions {
  fs::path tokenizer = {};  ///< folder with tokenizer.json and, for conversations, a chat template
  LossMode loss = LossMode::kAssistant;
  std::optional<int64_t> clock = {};  ///< for templates that tell the date, seconds of the epoch, UTC
  bool allow_special = false;         ///< rows may write special tokens in their texts
};

struct SftSample {
  std::vector<int32_t> ids;
  std::vector<float> weights;  ///< one a token: of its loss where it is the label; 0: context alone
};

/// What a person wants to see of a sample.
struct SftDetail {
  std::string text;
  std::vector<hub::TextSpan> places;  ///< bytes of `text`, one span a token
  std::vector<std::string> roles;     ///< whose turn a token is in, one a token; "" where that cannot be told
};

/// Rows to tokens. Thread-safe.
class SftEncoder {
 public:
  /// Throws kInput for a folder without a tokenizer. That it has no chat template is an error of the first
  /// conversation.
  explicit SftEncoder(const SftOptions& options);

  /// A conversation: rendered with the folder's template and tokenized without the tokenizer's own. What is trained:
  /// the spans that the template marks with {% generation %}; where it has no markers, for each answer the tokens that
  /// rendering up to and with it adds to rendering up to it with a generation prompt, both of which must be, token by
  /// token, beginnings of the whole; white space behind an answer's last special token is left out.
  /// Texts: the prompt's tokens behind the tokenizer's BOS, the completion's, and the end-of-text token.
  /// Throws kInput, with `where`: the template's complaint; turns that cannot be told apart; text that holds a special
  /// token; nothing that is trained. `detail` may be null.
  SftSample encode(const SftRow& row, const std::string& where, SftDetail* detail = nullptr) const;

  /// True when the folder's template renders the row as if it had no tools.
  bool ignores_tools(const SftRow& row) const;
  /// The folder's chat template; null when it has none.
  const hub::ChatTemplate* chat_template() const { return chat_ ? &*chat_ : nullptr; }
  const hub::Tokenizer& tokenizer() const { return tokenizer_; }
  std::optional<int32_t> eos() const { return eos_; }
  const SftOptions& options() const { return options_; }

 private:
  SftSample encode_text(const SftRow& row, SftDetail* detail, const std::string& where) const;
  SftSample encode_chat(const SftRow& row, SftDetail* detail, const std::string& where) const;
  const hub::ChatTemplate& chat() const;
  void refuse_special(const SftRow& row, const std::string& where) const;

  SftOptions options_;
  hub::Tokenizer tokenizer_;
  std::optional<hub::ChatTemplate> chat_;
  std::string no_chat_;  ///< why there is none
  std::vector<std::string> special_;
  std::unordered_set<int32_t> special_ids_;
  std::vector<int32_t> bos_;
  std::optional<int32_t> eos_;
};

}  // namespace rialto::data
