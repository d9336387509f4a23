// Fine-tuning rows as tokens, all of a file: made once, mapped by every process that needs them.
#pragma once

#include <span>

#include "rialto/data/index_file.h"
#include "rialto/data/sft_reader.h"

namespace rialto::data {

/// Rows laid end to end: those of row i are [starts[i], starts[i + 1]).
struct SftTokens {
  HeldArrays held;
  std::span<const int64_t> starts;
  std::span<const int32_t> ids;
  std::span<const float> weights;
  int64_t cut = 0, left_out = 0;  ///< rows that were longer than there is room for
  int64_t num_rows() const { return static_cast<int64_t>(starts.size()) - 1; }
  std::span<const int32_t> ids_of(int64_t row) const { return part(ids, row, 0); }
  /// One fewer than ids: the first token is nobody's label.
  std::span<const float> label_weights_of(int64_t row) const { return part(weights, row, 1); }

 private:
  template <class T>
  std::span<const T> part(std::span<const T> all, int64_t row, int64_t skip) const {
    const int64_t begin = starts[static_cast<size_t>(row)] + skip, end = starts[static_cast<size_t>(row) + 1];
    return all.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  }
};

/// Tokenizes the files with all threads, or takes what an earlier run has kept in the cache's folder: a file's name
/// hangs on the bytes of rows, tokenizer and template and on every option. Throws kInput for a bad row, the first one;
/// kConfig when no row is left.
SftTokens tokenize_sft(const SftFiles& files, const SftEncoder& encoder, const IndexCache& cache, Progress* progress);

}  // namespace rialto::data
