// How well one can predict tokens without looking at context: the bar that a trained model has to clear.
#pragma once

#include <span>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::data {

struct UnigramEntropy {
  int64_t tokens = 0, distinct = 0;
  double nats_per_token = 0;
};

/// Counts tokens as they come by. Ids must not be negative.
class UnigramCounter {
 public:
  void add(std::span<const int32_t> tokens);
  UnigramEntropy entropy() const;  ///< of the frequencies, -sum p ln p; 0 for no tokens

 private:
  std::vector<int64_t> counts_;
};

/// Of the tokens of PREFIX.bin/.idx, end-of-text tokens included. Throws kInput when there are none.
UnigramEntropy unigram_entropy(const fs::path& prefix);

/// A loss in nats a token as bits a byte of the text it stands for: loss * tokens / (bytes * ln 2). `tokens` and
/// `bytes` are what `tokenize` reported for the same data.
double bits_per_byte(double nats_per_token, int64_t tokens, int64_t bytes);

/// {"distinct_tokens", "nats_per_token", "bits_per_byte"} for tokens that stand for `text_bytes` bytes of text.
Json unigram_report(const UnigramEntropy& entropy, int64_t text_bytes);

}  // namespace rialto::data
