// A SentencePiece model (`tokenizer.model`), through SentencePiece's own library.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

/// Ids are sentencepiece's own, as Megatron's SentencePieceTokenizer has them: a text that spells a control token
/// ("</s>") does not hold it. All functions are thread-safe.
class SentencePieceModel {
 public:
  /// `bytes`: the file's; `path`: its name, for messages, and where tokenizer_config.json is looked for, whose
  /// add_bos_token and add_eos_token say what encode() puts around a text (nothing, where it is silent). Throws kInput
  /// for bytes that are no model, and for a tokenizer_config.json that makes other ids out of it (see docs/data.md).
  SentencePieceModel(const fs::path& path, std::string_view bytes);
  ~SentencePieceModel();

  /// Throws kInput where the library fails.
  std::vector<int32_t> encode(std::string_view text, bool add_special) const;
  /// Control tokens have no text; ids that stand for nothing are passed over.
  std::string decode(std::span<const int32_t> ids) const;
  int64_t vocab_size() const;
  std::optional<int32_t> id_of(std::string_view piece) const;
  /// The piece that the model itself says ends a text, if any.
  std::optional<std::string> eos() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rialto::hub
