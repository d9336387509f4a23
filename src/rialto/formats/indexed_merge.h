// Several .bin/.idx pairs, one after the other, as one.
#pragma once

#include <functional>
#include <span>

#include "rialto/base/file_ops.h"
#include "rialto/base/progress.h"

namespace rialto::formats {

struct MergedTokens {
  uint64_t sequences = 0, documents = 0, tokens = 0;
};

/// Writes `output`.bin/.idx: the documents of all `prefixes` in that order. The same files as one writer would have
/// made of them; under their names only when they are complete. `on_tokens` (if any) sees all tokens on their way.
/// Memory: the index of one pair. Throws kInput for a damaged pair, kConfig for pairs of different element types.
MergedTokens merge_indexed(FileOps& ops, std::span<const fs::path> prefixes, const fs::path& output,
                           const std::function<void(std::span<const int32_t>)>& on_tokens, Progress& told);

}  // namespace rialto::formats
