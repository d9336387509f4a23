// Which file of a folder is its tokenizer, and what other files say about one that is no tokenizer.json.
#pragma once

#include <string>

#include "rialto/base/file_ops.h"

namespace rialto::hub {

/// `path` itself when it is no folder; in a folder the first there is of tokenizer.json, tokenizer.model,
/// tiktoken.model and the only *.tiktoken. Throws kInput when there is none, or several of the last.
fs::path tokenizer_file(const fs::path& path);

/// What a file of tiktoken ranks needs beside itself, separated by NUL: the pattern that cuts
/// texts into words (of FILE.pattern), the tokens around a text (tokenizer_config.json: add_bos_token, add_eos_token),
/// and "ID TEXT" of the tokens in its added_tokens_decoder. All of them may be empty. Throws kInput for a folder whose
/// tokenizer_config.json is damaged.
std::string words_beside(const fs::path& file);

}  // namespace rialto::hub
