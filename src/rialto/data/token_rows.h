// Rows of token ids to run a model on: a user's, or drawn.
#pragma once

#include <cstdint>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::data {

/// All rows have one length.
using TokenRows = std::vector<std::vector<int64_t>>;

/// Reads a JSON list of lists of ids, all lists of one length >= 1, ids in [0, vocab). Throws kInput.
TokenRows read_token_rows(const fs::path& path, int64_t vocab);

/// Rows that tell two models apart: ids in [0, vocab) drawn from one seed, the same on every machine. Longer than the
/// small windows of attention (GPT-OSS: 128), but no longer than `max_positions`.
TokenRows random_token_rows(int64_t vocab, int64_t max_positions);

}  // namespace rialto::data
