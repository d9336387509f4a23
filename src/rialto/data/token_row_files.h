// Tokenised rows in JSON lines: {"input_ids": [...], "loss_mask": [...]}.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rialto/base/progress.h"
#include "rialto/data/packed_row.h"
#include "rialto/data/tokenize.h"

namespace rialto::data {

/// Calls `take` with each row and its place ("file:line"), in order; lines are parsed by `threads` threads (0: all).
/// Inputs are those of a TextSource. A mask may be of 0 and 1 or of false and true. Throws kInput with file:line.
void read_token_row_files(const TextSource& source, size_t threads,
                          const std::function<void(TokenRow, const std::string&)>& take, Progress& told);

}  // namespace rialto::data
