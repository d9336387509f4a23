// How well one can predict tokens without looking at context: the bar that a trained model has to clear.
#pragma once

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::data {

struct UnigramEntropy {
  int64_t tokens = 0, distinct = 0;
  double nats_per_token = 0;
};

/// Entropy of the token frequencies of PREFIX.bin/.idx, end-of-text tokens included. Throws kInput.
UnigramEntropy unigram_entropy(const fs::path& prefix);

/// A loss in nats a token as bits a byte of the text it stands for: loss * tokens / (bytes * ln 2). `tokens` and `bytes`
/// are what `tokenize` reported for the same data.
double bits_per_byte(double nats_per_token, int64_t tokens, int64_t bytes);

/// {"tokens", "distinct_tokens", "nats_per_token"}, and with `text_bytes` > 0 "bytes" and "bits_per_byte".
Json unigram_report(const fs::path& prefix, int64_t text_bytes);

}  // namespace rialto::data
