// Token files of several machines as one.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"

namespace rialto::data {

/// Joins pairs in the given order; an input is a prefix, or its .idx or .bin. Returns {"prefix", "documents",
/// "tokens"}. Throws kConfig when the output exists (unless `overwrite`) or is among the inputs, or element types
/// differ; kInput for a missing or damaged pair, and for inputs named like shards ("x.02-of-04") of which one is
/// missing or in another place than its number says.
Json merge(const std::vector<std::string>& inputs, const fs::path& output, bool overwrite, FileOps& ops,
           Progress* progress);

}  // namespace rialto::data
