// Token files looked over before they are trained on.
#pragma once

#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"

namespace rialto::data {

struct TokenCheck {
  std::vector<fs::path> prefixes;  ///< of .bin/.idx pairs
  fs::path tokenizer = {};         ///< folder whose vocabulary and end of text they should have; empty: any
  size_t most_listed = 20;         ///< findings that are named; all are counted
};

/// Findings by kind: `out_of_vocabulary` documents hold an id that is negative or the tokenizer does not have; `empty`
/// ones hold nothing but an end of text; `duplicates` have the tokens of an earlier one; `no_end` ones miss the
/// tokenizer's end of text where others have it (none at all: one finding for the file). `expected_loss` of a file: the
/// frequencies of its tokens alone give a loss that no text has, near that of an untrained model (bytes that are no
/// text, or another element type) or near nothing.
/// {"documents", "tokens", "distinct_tokens", "lengths": {"shortest", "mean", "median", "p95", "longest"},
///  "uniform_nats": ln of the vocabulary (without a tokenizer: of the largest id), "unigram_nats": entropy of the
///  frequencies, "bigram_nats": of a token when the one before it is known (an upper bound of what is to be learned;
///  left out beyond 2^20 different pairs), "findings": {kind: count}, "listed": ["[file document 12] what"]}.
/// Memory: two numbers a document and the counts. Throws kInput for damaged files.
Json check_tokens(const TokenCheck& check, Progress* progress);

/// PREFIX of a pair that `path` means: PREFIX, PREFIX.idx or PREFIX.bin; empty when it is none.
fs::path token_prefix(const fs::path& path);

}  // namespace rialto::data
