// Counts tokens and sums -p ln p.
#include "rialto/data/entropy.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "rialto/base/error.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::data {

void UnigramCounter::add(std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) {
    const auto id = static_cast<size_t>(token);
    if (token < 0) throw Error(ErrorKind::kInput, "tokens", "a token id is negative", {.got = std::to_string(token)});
    if (id >= counts_.size()) counts_.resize(std::max(id + 1, 2 * counts_.size()));
    ++counts_[id];
  }
}

UnigramEntropy UnigramCounter::entropy() const {
  UnigramEntropy result;
  for (const int64_t count : counts_) result.tokens += count;
  for (const int64_t count : counts_) {
    if (count == 0) continue;
    ++result.distinct;
    const double p = static_cast<double>(count) / static_cast<double>(result.tokens);
    result.nats_per_token -= p * std::log(p);
  }
  return result;
}

UnigramEntropy unigram_entropy(const fs::path& prefix) {
  constexpr int64_t kPiece = 1 << 20;
  const formats::IndexedDataset dataset(prefix);
  UnigramCounter counter;
  std::vector<int32_t> buffer;
  for (int64_t i = 0; i < dataset.num_sequences(); ++i) {
    const int64_t length = dataset.lengths()[static_cast<size_t>(i)];
    for (int64_t from = 0; from < length; from += kPiece) {
      buffer.resize(static_cast<size_t>(std::min(kPiece, length - from)));
      dataset.read(i, from, buffer);
      counter.add(buffer);
    }
  }
  const UnigramEntropy result = counter.entropy();
  if (result.tokens == 0) throw Error(ErrorKind::kInput, prefix.string(), "holds no tokens");
  return result;
}

double bits_per_byte(double nats_per_token, int64_t tokens, int64_t bytes) {
  if (bytes < 1)
    throw Error(ErrorKind::kConfig, "bits_per_byte", "needs the number of bytes of text",
                {.got = std::to_string(bytes)});
  return nats_per_token * static_cast<double>(tokens) / (static_cast<double>(bytes) * std::numbers::ln2);
}

Json unigram_report(const UnigramEntropy& entropy, int64_t text_bytes) {
  return {{"distinct_tokens", entropy.distinct},
          {"nats_per_token", entropy.nats_per_token},
          {"bits_per_byte", bits_per_byte(entropy.nats_per_token, entropy.tokens, text_bytes)}};
}

}  // namespace rialto::data
