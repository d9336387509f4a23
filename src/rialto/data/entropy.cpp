// Counts tokens and sums -p ln p.
#include "rialto/data/entropy.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::data {

UnigramEntropy unigram_entropy(const fs::path& prefix) {
  const formats::IndexedDataset dataset(prefix);
  std::map<int32_t, int64_t> counts;
  std::vector<int32_t> buffer;
  UnigramEntropy result;
  for (int64_t i = 0; i < dataset.num_sequences(); ++i) {
    const int64_t length = dataset.lengths()[static_cast<size_t>(i)];
    for (int64_t from = 0; from < length; from += 1 << 20) {
      buffer.resize(static_cast<size_t>(std::min<int64_t>(1 << 20, length - from)));
      dataset.read(i, from, buffer);
      for (const int32_t token : buffer) ++counts[token];
      result.tokens += static_cast<int64_t>(buffer.size());
    }
  }
  if (result.tokens == 0) throw Error(ErrorKind::kInput, prefix.string(), "holds no tokens");
  result.distinct = static_cast<int64_t>(counts.size());
  for (const auto& [token, count] : counts) {
    const double p = static_cast<double>(count) / static_cast<double>(result.tokens);
    result.nats_per_token -= p * std::log(p);
  }
  return result;
}

double bits_per_byte(double nats_per_token, int64_t tokens, int64_t bytes) {
  if (bytes < 1) throw Error(ErrorKind::kConfig, "bits_per_byte", "needs the number of bytes of text", {.got = std::to_string(bytes)});
  return nats_per_token * static_cast<double>(tokens) / (static_cast<double>(bytes) * std::numbers::ln2);
}

Json unigram_report(const fs::path& prefix, int64_t text_bytes) {
  const UnigramEntropy entropy = unigram_entropy(prefix);
  Json report{{"tokens", entropy.tokens}, {"distinct_tokens", entropy.distinct}, {"nats_per_token", entropy.nats_per_token}};
  if (text_bytes > 0) {
    report["bytes"] = text_bytes;
    report["bits_per_byte"] = bits_per_byte(entropy.nats_per_token, entropy.tokens, text_bytes);
  }
  return report;
}

}  // namespace rialto::data
