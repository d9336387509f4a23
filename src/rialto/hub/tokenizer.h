// HF tokenizers through our Rust crate (rust/): exact HF behaviour.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

class Tokenizer {
 public:
  /// A folder holding tokenizer.json, or the file itself. Throws kInput.
  explicit Tokenizer(const fs::path& path);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  /// UTF-8 text in; thread-safe. `add_special`: as the tokenizer's post-processor says (BOS...).
  std::vector<int32_t> encode(std::string_view text, bool add_special) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;
  int64_t vocab_size() const;                        ///< added tokens included
  std::optional<int32_t> id_of(std::string_view token) const;

 private:
  void* handle_ = nullptr;
};

/// Streaming decode: gives out text only when no later token can change it (complete UTF-8, no trailing merge).
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  std::string push(int32_t id);
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<int32_t> ids_;
  size_t prefix_ = 0, read_ = 0;
};

struct BpeTrainOptions {
  int64_t vocab_size = 8192;
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  int64_t min_frequency = 2;
};
/// Trains a byte-level BPE (GPT-2 pre-tokenizer) and returns tokenizer.json. `next` gives texts until it returns false.
/// The same texts in the same order give the same bytes.
std::string train_bpe(const BpeTrainOptions& options, const std::function<bool(std::string&)>& next);

}  // namespace rialto::hub
