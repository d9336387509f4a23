// Token ids in, fp32 logits out, for other programs to compare.
#pragma once

#include <vector>

#include "rialto/generate/loaded_model.h"

namespace rialto::train {

/// Reads a JSON list of lists of ids, all lists of one length >= 1, ids in [0, vocab). Throws kInput.
std::vector<std::vector<int64_t>> read_token_rows(const fs::path& path, int64_t vocab);

/// fp32 logits of every position of every row, as safetensors: tensor `logits` [B, S, V]. One row is computed at a
/// time, so memory holds one row's logits. Rows as read_token_rows gives them.
void write_logits(const generate::LoadedModel& model, const std::vector<std::vector<int64_t>>& rows, FileOps& ops,
                  const fs::path& out, Progress* progress);

}  // namespace rialto::train
