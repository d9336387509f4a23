// Tokenizers through the Rust crate and SentencePiece: ownership, errors and exceptions at the language border.
#include "rialto/hub/tokenizer.h"

#include <exception>
#include <limits>
#include <utility>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/hub/rust_bytes.h"
#include "rialto/hub/sentencepiece_model.h"
#include "rialto/hub/special_tokens.h"
#include "rialto/hub/tokenizer_file.h"

namespace rialto::hub {
namespace {

constexpr uint64_t kMaxTokenizerBytes = 1u << 30;

/// What `train_bpe` hands to Rust: the callback, the text it gave last, and the exception it threw.
struct TextFeed {
  const std::function<bool(std::string&)>& next;
  std::string text;
  std::exception_ptr thrown;
};

extern "C" int32_t next_text(void* user, const uint8_t** data, size_t* len) {
  auto& feed = *static_cast<TextFeed*>(user);
  try {
    if (!feed.next(feed.text)) return 0;
  } catch (...) {
    feed.thrown = std::current_exception();
    return -1;
  }
  *data = bytes_of(feed.text);
  *len = feed.text.size();
  return 1;
}

}  // namespace

Tokenizer::Tokenizer(const fs::path& path) : path_(tokenizer_file(path)) {
  const std::string file = read_text_file(path_, kMaxTokenizerBytes);
  const TokenizerKind kind = tokenizer_kind(path_, file);
  if (kind == TokenizerKind::kSentencePiece) {
    pieces_ = std::make_unique<SentencePieceModel>(path_, file);
    return;
  }
  OwnedBytes error;
  int32_t status = 0;
  if (kind == TokenizerKind::kHuggingFace) {
    status = rialto_tok_load(bytes_of(file), file.size(), &handle_, &error.bytes);
  } else {
    const std::string words = words_beside(path_);
    status = rialto_tok_load_ranks(bytes_of(file), file.size(), bytes_of(words), words.size(), &handle_, &error.bytes);
  }
  if (status != 0) {
    throw Error(ErrorKind::kInput, path_.string(), "is not a tokenizer: " + error.text());
  }
}

Tokenizer::~Tokenizer() { rialto_tok_free(handle_); }

Tokenizer::Tokenizer(Tokenizer&& other) noexcept
    : path_(std::move(other.path_)),
      handle_(std::exchange(other.handle_, nullptr)),
      pieces_(std::move(other.pieces_)) {}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  if (pieces_) return pieces_->encode(text, add_special);
  OwnedIds ids;
  OwnedBytes error;
  if (rialto_tok_encode(handle_, bytes_of(text), text.size(), add_special, &ids.ids, &error.bytes) != 0)
    throw Error(ErrorKind::kInput, path_.string(), "cannot encode: " + error.text());
  return ids.tokens();
}

PlacedTokens Tokenizer::encode_places(std::string_view text) const {
  if (pieces_)
    throw Error(ErrorKind::kInput, path_.string(), "only a tokenizer.json tells where in a text its tokens are");
  OwnedIds ids, places;
  OwnedBytes error;
  if (rialto_tok_encode_places(handle_, bytes_of(text), text.size(), &ids.ids, &places.ids, &error.bytes) != 0)
    throw Error(ErrorKind::kInput, path_.string(), "cannot encode: " + error.text());
  return {ids.tokens(), places.pairs()};
}

std::vector<std::string> Tokenizer::special_tokens() const {
  if (pieces_) return {};
  OwnedBytes list, error;
  if (rialto_tok_special_tokens(handle_, &list.bytes, &error.bytes) != 0)
    throw Error(ErrorKind::kInput, path_.string(), "cannot list its special tokens: " + error.text());
  std::vector<std::string> tokens;
  const std::string all = list.text();
  for (size_t begin = 0, end; (end = all.find('\0', begin)) != std::string::npos; begin = end + 1)
    tokens.push_back(all.substr(begin, end - begin));
  return tokens;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::vector<uint32_t> unsigned_ids;
  unsigned_ids.reserve(ids.size());
  for (const int32_t id : ids) {
    if (id < 0)
      throw Error(ErrorKind::kInput, path_.string(), "cannot decode a negative token id", {.got = std::to_string(id)});
    unsigned_ids.push_back(static_cast<uint32_t>(id));
  }
  if (pieces_) return pieces_->decode(ids);
  OwnedBytes text;
  OwnedBytes error;
  if (rialto_tok_decode(handle_, unsigned_ids.data(), unsigned_ids.size(), skip_special, &text.bytes, &error.bytes) !=
      0) {
    throw Error(ErrorKind::kInput, path_.string(), "cannot decode: " + error.text());
  }
  return text.text();
}

int64_t Tokenizer::vocab_size() const { return pieces_ ? pieces_->vocab_size() : rialto_tok_vocab_size(handle_); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  if (pieces_) return pieces_->id_of(token);
  const int64_t id = rialto_tok_id_of(handle_, bytes_of(token), token.size());
  if (id < 0 || id > std::numeric_limits<int32_t>::max()) return std::nullopt;
  return static_cast<int32_t>(id);
}

bool Tokenizer::is_fast() const { return !pieces_ && rialto_tok_is_fast(handle_) != 0; }

std::optional<std::string> Tokenizer::eos_token() const {
  if (auto named = hub::eos_token(path_.parent_path())) return named;
  return pieces_ ? pieces_->eos() : std::nullopt;
}

std::string train_bpe(const BpeTrainOptions& options, const std::function<bool(std::string&)>& next) {
  constexpr std::string_view kWhere = "train_bpe";
  if (options.vocab_size < 1 || options.min_frequency < 1) {
    throw Error(ErrorKind::kConfig, kWhere, "vocab_size and min_frequency must be at least 1");
  }
  std::string special;
  for (const std::string& token : options.special_tokens) {
    if (token.empty() || token.find('\0') != std::string::npos) {
      throw Error(ErrorKind::kConfig, kWhere, "a special token is empty or holds a NUL");
    }
    special += token;
    special += '\0';
  }
  TextFeed feed{next, {}, nullptr};
  OwnedBytes json;
  OwnedBytes error;
  const int32_t status = rialto_tok_train_bpe(
      bytes_of(special), special.size(), static_cast<uint64_t>(options.vocab_size),
      static_cast<uint64_t>(options.min_frequency), options.threads > 0 ? options.threads : available_threads(),
      &next_text, &feed, &json.bytes, &error.bytes);
  if (feed.thrown) std::rethrow_exception(feed.thrown);
  if (status != 0) throw Error(ErrorKind::kConfig, kWhere, error.text());
  return json.text();
}

}  // namespace rialto::hub
