// Tokenizers, each through its own library: HF's tokenizer.json and tiktoken's ranks in our Rust crate (rust/),
// SentencePiece.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

class SentencePieceModel;

/// Tokens, and which bytes [first, second) of the text each stands for. Several tokens of one character have its place;
/// a token that the tokenizer adds of its own has an empty one.
struct PlacedTokens {
  std::vector<int32_t> ids;
  std::vector<std::pair<size_t, size_t>> places;
};

class Tokenizer {
 public:
  /// A folder (see tokenizer_file()) or a file: a tokenizer.json, tiktoken's ranks, or a SentencePiece model.
  /// Throws kInput.
  explicit Tokenizer(const fs::path& path);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  /// UTF-8 text in; thread-safe. `add_special`: as the tokenizer's post-processor says (BOS...).
  std::vector<int32_t> encode(std::string_view text, bool add_special) const;
  /// encode(text, false) with the tokens' places in the text; of a tokenizer.json only.
  PlacedTokens encode_places(std::string_view text) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;
  int64_t vocab_size()
      const;  ///< every id is below this: the number of tokens, added ones included, unless ids have holes
  std::optional<int32_t> id_of(std::string_view token) const;
  /// True where most texts are encoded by our own code (rust/src/fast.rs), with the same ids, several times as fast.
  bool is_fast() const;
  /// The token that ends a text: what the files beside the tokenizer name as eos_token, else what a SentencePiece model
  /// itself says.
  std::optional<std::string> eos_token() const;
  /// Texts of the added tokens that are special, in the order of their ids: what tokenizing finds in any text.
  std::vector<std::string> special_tokens() const;

 private:
  fs::path path_;
  void* handle_ = nullptr;                      ///< in Rust, or
  std::unique_ptr<SentencePieceModel> pieces_;  ///< this
};

/// Streaming decode: gives out text only when it is whole characters that no later token changes; all pieces together
/// are the decoded text. A run of 16 tokens that make no character is given out as it is.
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
  size_t threads = 0;  ///< 0: all of this process; never changes the result
};
/// Trains a byte-level BPE (GPT-2 pre-tokenizer) and returns tokenizer.json. `next` gives UTF-8 texts until it returns
/// false; what it throws comes out of here. The same texts give the same bytes, in whatever order. A corpus with too
/// few repeated pairs gives fewer tokens than asked. Throws kConfig (no room for the 256 bytes and the special tokens).
std::string train_bpe(const BpeTrainOptions& options, const std::function<bool(std::string&)>& next);

}  // namespace rialto::hub
