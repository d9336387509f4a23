// The special tokens that a tokenizer folder names.
#pragma once

#include <optional>
#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::hub {

/// {"bos_token": "<s>", "eos_token": "</s>", ...}: what tokenizer_config.json names, and special_tokens_map.json where
/// the former lists no added tokens. Throws kInput for a file that is not JSON.
/// Source: transformers/tokenization_utils_base.py (5.23), _from_pretrained and special_tokens_map.
Json special_tokens(const fs::path& dir);

/// The end-of-text token of these, if any.
std::optional<std::string> eos_token(const fs::path& dir);

}  // namespace rialto::hub
