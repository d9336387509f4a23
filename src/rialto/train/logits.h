// Token ids in, fp32 logits out, for other programs to compare.
#pragma once

#include <vector>

#include "rialto/data/token_rows.h"
#include "rialto/generate/loaded_model.h"

namespace rialto::train {

/// fp32 logits of one row's positions [S, V], on the host. `routing`: gets what mixture-of-experts layers report.
at::Tensor logits_of_row(const generate::LoadedModel& model, const std::vector<int64_t>& row,
                         model::Routing* routing = nullptr);

/// fp32 logits of every position of every row, as safetensors: tensor `logits` [B, S, V]. One row is computed at a
/// time, so memory holds one row's logits. `routes`: also `routes.<layer>` [B * S, K], int64: the experts that each
/// token goes to, of every mixture-of-experts layer (counted from 0, prediction blocks left out). Throws kUsage when
/// `routes` is asked of a model without experts.
void write_logits(const generate::LoadedModel& model, const data::TokenRows& rows, bool routes, FileOps& ops,
                  const fs::path& out, Progress* progress);

}  // namespace rialto::train
