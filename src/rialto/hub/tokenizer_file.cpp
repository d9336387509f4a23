// Finding tokenizer files.
#include "rialto/hub/tokenizer_file.h"

#include <algorithm>
#include <span>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/hub/special_tokens.h"

namespace rialto::hub {
namespace {

/// What may be the tokenizer of a folder: one file, or several *.tiktoken.
std::vector<fs::path> candidates(const fs::path& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tiktoken.model"})
    if (fs::exists(folder / name)) return {folder / name};
  std::vector<fs::path> ranks;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".tiktoken") ranks.push_back(entry.path());
  return ranks;
}

std::string_view type_of(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::kHuggingFace:
      return "HuggingFaceTokenizer";
    case TokenizerKind::kTiktoken:
      return "TikTokenizer";
    case TokenizerKind::kSentencePiece:
      return "SentencePieceTokenizer";
  }
  return {};
}

}  // namespace

bool has_tokenizer(const fs::path& path) {
  return fs::is_directory(path) ? candidates(path).size() == 1 : fs::is_regular_file(path);
}

TokenizerKind tokenizer_kind(const fs::path& file, std::string_view bytes) {
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == bytes.npos || bytes[first] == '{' || file.extension() == ".json") return TokenizerKind::kHuggingFace;
  // A SentencePiece model is a ModelProto, which begins with its list of pieces: field 1. Files of ranks are text.
  return bytes.front() == '\n' ? TokenizerKind::kSentencePiece : TokenizerKind::kTiktoken;
}

namespace {

TokenizerKind kind_of(const fs::path& file) {
  std::string head(std::min<uint64_t>(64, fs::file_size(file)), '\0');
  ReadFile(file).read_at(0, std::as_writable_bytes(std::span(head)));
  return tokenizer_kind(file, head);
}

}  // namespace

std::string tokenizer_name_in_folder(const fs::path& file) {
  return kind_of(file) == TokenizerKind::kHuggingFace ? "tokenizer.json" : "tokenizer.model";
}

void require_tokenizer_type(const fs::path& path, std::string_view type, std::string_view where) {
  if (type.empty()) return;
  const fs::path file = tokenizer_file(path);
  const std::string_view is = type_of(kind_of(file));
  if (is != type)
    throw Error(ErrorKind::kConfig, where, "the tokenizer is of another type",
                {.got = std::string(is) + ": " + file.string(), .want = std::string(type)});
}

fs::path tokenizer_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  const std::vector<fs::path> ranks = candidates(path);
  if (ranks.size() == 1) return ranks.front();
  throw Error(ErrorKind::kInput, path.string(),
              ranks.empty() ? "has no tokenizer.json, tokenizer.model or *.tiktoken" : "has several *.tiktoken",
              {.hint = ranks.empty() ? "save it with transformers' fast tokenizer, which writes tokenizer.json"
                                     : "name the file"});
}

TextEnds text_ends(const fs::path& folder) {
  const fs::path file = folder / "tokenizer_config.json";
  const Json config = fs::exists(file) ? read_json_file(file) : Json::object();
  const Json named = special_tokens(folder);
  const auto end = [&](const std::string& name) -> std::string {
    const auto add = config.find("add_" + name + "_token");
    const std::string key = name + "_token";
    if (add == config.end() || *add != true) return {};
    if (!named.contains(key))
      throw Error(ErrorKind::kInput, file.string(), "asks for a token that it does not name", {.want = key});
    return named.at(key).get<std::string>();
  };
  return {.bos = end("bos"), .eos = end("eos")};
}

std::string words_beside(const fs::path& file) {
  const fs::path pattern = file.string() + ".pattern", folder = file.parent_path();
  std::string words = fs::exists(pattern) ? read_text_file(pattern, 1u << 20) : "";
  while (words.ends_with('\n') || words.ends_with('\r')) words.pop_back();
  const TextEnds ends = text_ends(folder);
  words += '\0' + ends.bos + '\0' + ends.eos;
  const fs::path config_file = folder / "tokenizer_config.json";
  const Json config = fs::exists(config_file) ? read_json_file(config_file) : Json::object();
  if (const auto added = config.find("added_tokens_decoder"); added != config.end() && added->is_object())
    for (const auto& [id, token] : added->items())
      if (token.is_object() && token.contains("content") && token.at("content").is_string())
        words += '\0' + id + ' ' + token.at("content").get<std::string>();
  return words;
}

}  // namespace rialto::hub
