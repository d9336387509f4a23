// HF tokenizers through the Rust crate: ownership, errors and exceptions at the language border.
#include "rialto/hub/tokenizer.h"

#include <exception>
#include <limits>
#include <utility>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/base/parallel.h"
#include "rialto/hub/tokenizer_abi.h"

namespace rialto::hub {
namespace {

constexpr uint64_t kMaxTokenizerBytes = 1u << 30;

struct OwnedBytes {
  RialtoTokBytes bytes{nullptr, 0};
  OwnedBytes() = default;
  OwnedBytes(const OwnedBytes&) = delete;
  OwnedBytes& operator=(const OwnedBytes&) = delete;
  ~OwnedBytes() { rialto_tok_free_bytes(bytes); }
  std::string text() const { return {reinterpret_cast<const char*>(bytes.data), bytes.len}; }
};

const uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

fs::path tokenizer_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  const fs::path file = path / "tokenizer.json";
  if (!fs::exists(file)) {
    throw Error(ErrorKind::kInput, path.string(), "has no tokenizer.json",
                {.hint = "save it with transformers' fast tokenizer, which writes that file"});
  }
  return file;
}

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

/// The text of a special token entry: "</s>" or {"content": "</s>", ...}.
std::optional<std::string> token_text(const Json& config, const char* key) {
  const auto entry = config.find(key);
  if (entry == config.end()) return std::nullopt;
  if (entry->is_string()) return entry->get<std::string>();
  if (entry->is_object() && entry->contains("content") && entry->at("content").is_string()) {
    return entry->at("content").get<std::string>();
  }
  return std::nullopt;
}

}  // namespace

Tokenizer::Tokenizer(const fs::path& path) : path_(tokenizer_file(path)) {
  const std::string json = read_text_file(path_, kMaxTokenizerBytes);
  OwnedBytes error;
  if (rialto_tok_load(bytes_of(json), json.size(), &handle_, &error.bytes) != 0) {
    throw Error(ErrorKind::kInput, path_.string(), "is not a tokenizer: " + error.text());
  }
}

Tokenizer::~Tokenizer() { rialto_tok_free(handle_); }

Tokenizer::Tokenizer(Tokenizer&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  RialtoTokIds ids{nullptr, 0};
  OwnedBytes error;
  if (rialto_tok_encode(handle_, bytes_of(text), text.size(), add_special, &ids, &error.bytes) != 0) {
    throw Error(ErrorKind::kInput, path_.string(), "cannot encode: " + error.text());
  }
  std::vector<int32_t> out;
  out.reserve(ids.len);
  for (size_t i = 0; i < ids.len; ++i) out.push_back(static_cast<int32_t>(ids.data[i]));
  rialto_tok_free_ids(ids);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::vector<uint32_t> unsigned_ids;
  unsigned_ids.reserve(ids.size());
  for (const int32_t id : ids) {
    if (id < 0)
      throw Error(ErrorKind::kInput, path_.string(), "cannot decode a negative token id", {.got = std::to_string(id)});
    unsigned_ids.push_back(static_cast<uint32_t>(id));
  }
  OwnedBytes text;
  OwnedBytes error;
  if (rialto_tok_decode(handle_, unsigned_ids.data(), unsigned_ids.size(), skip_special, &text.bytes, &error.bytes) !=
      0) {
    throw Error(ErrorKind::kInput, path_.string(), "cannot decode: " + error.text());
  }
  return text.text();
}

int64_t Tokenizer::vocab_size() const { return rialto_tok_vocab_size(handle_); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  const int64_t id = rialto_tok_id_of(handle_, bytes_of(token), token.size());
  if (id < 0 || id > std::numeric_limits<int32_t>::max()) return std::nullopt;
  return static_cast<int32_t>(id);
}

std::optional<std::string> eos_token(const fs::path& dir) {
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!fs::exists(dir / name)) continue;
    if (auto token = token_text(read_json_file(dir / name), "eos_token")) return token;
  }
  return std::nullopt;
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
