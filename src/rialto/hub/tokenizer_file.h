// Which file of a folder is its tokenizer, and what other files say about one that is no tokenizer.json.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

/// `path` itself when it is no folder; in a folder the first there is of tokenizer.json, tokenizer.model,
/// tiktoken.model and the only *.tiktoken. Throws kInput when there is none, or several of the last.
fs::path tokenizer_file(const fs::path& path);

/// True where tokenizer_file() finds one, or `path` is a file.
bool has_tokenizer(const fs::path& path);

/// Which library a tokenizer's file is for, by its first bytes and its name.
enum class TokenizerKind { kHuggingFace, kTiktoken, kSentencePiece };
TokenizerKind tokenizer_kind(const fs::path& file, std::string_view bytes);
/// The name under which a folder's tokenizer_file() is a copy of this file.
std::string tokenizer_name_in_folder(const fs::path& file);
/// Throws kConfig, naming `where`, unless the tokenizer of `path` is what Megatron calls `type`: HuggingFaceTokenizer,
/// SentencePieceTokenizer or TikTokenizer; "" is any.
void require_tokenizer_type(const fs::path& path, std::string_view type, std::string_view where);

/// The tokens that tokenizer_config.json of a folder wants around a text (add_bos_token, add_eos_token); "" for none.
/// Throws kInput for one that is damaged or asks for a token that it does not name.
struct TextEnds {
  std::string bos, eos;
};
TextEnds text_ends(const fs::path& folder);

/// What a file of tiktoken ranks needs beside itself, separated by NUL: the pattern that cuts
/// texts into words (of FILE.pattern), the tokens around a text, and "ID TEXT" of the tokens in its
/// added_tokens_decoder. All of them may be empty. Throws kInput for a folder whose tokenizer_config.json is damaged.
std::string words_beside(const fs::path& file);

}  // namespace rialto::hub
