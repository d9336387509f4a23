// Segments into bins and out of them.
#include "rialto/data/packed_row.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "rialto/base/error.h"

namespace rialto::data {

int64_t padding_multiple(int64_t cp, int64_t tp, int64_t also) {
  if (cp < 1 || tp < 1 || also < 1)
    throw Error(ErrorKind::kConfig, "packing", "sizes and multiples must be at least 1");
  return std::lcm(std::lcm(cp > 1 ? 2 * cp : 1, tp > 1 ? tp * cp : 1), also);
}

int64_t room_of(int64_t tokens, int64_t multiple) { return (tokens - 1 + multiple - 1) / multiple * multiple; }

void append(PackedRow& packed, const TokenRow& row, int64_t multiple, int32_t pad) {
  const size_t begin = packed.input_ids.size();
  const auto stored = static_cast<size_t>(room_of(static_cast<int64_t>(row.ids.size()), multiple)) + 1;
  packed.seq_start_id.push_back(static_cast<int32_t>(begin));
  packed.input_ids.insert(packed.input_ids.end(), row.ids.begin(), row.ids.end());
  packed.input_ids.resize(begin + stored, pad);
  packed.loss_mask.insert(packed.loss_mask.end(), row.mask.begin() + 1, row.mask.end());
  packed.loss_mask.resize(begin + stored, 0);
}

void append_segment(Sample& sample, std::span<const int32_t> ids, std::span<const float> label_weights,
                    int64_t multiple, int32_t pad) {
  const size_t begin = sample.tokens.size(), tokens = ids.size() - 1;
  const size_t end = begin + static_cast<size_t>(room_of(static_cast<int64_t>(ids.size()), multiple));
  const int32_t document = sample.documents.empty() ? 0 : sample.documents.back() + 1;
  sample.tokens.insert(sample.tokens.end(), ids.begin(), ids.end() - 1);
  sample.tokens.resize(end, pad);
  sample.labels.insert(sample.labels.end(), ids.begin() + 1, ids.end());
  sample.labels.resize(end, pad);
  sample.loss_weights.insert(sample.loss_weights.end(), label_weights.begin(), label_weights.begin() + tokens);
  sample.loss_weights.resize(end, 0);
  sample.positions.resize(end);
  std::iota(sample.positions.begin() + static_cast<ptrdiff_t>(begin), sample.positions.end(), 0);
  sample.documents.resize(end, document);
}

void pad_behind(Sample& sample, int64_t size, int32_t pad) {
  const auto length = static_cast<size_t>(size);
  const int32_t document = sample.documents.empty() ? 0 : sample.documents.back() + 1;
  sample.tokens.resize(length, pad);
  sample.labels.resize(length, pad);
  sample.loss_weights.resize(length, 0);
  sample.positions.resize(length, 0);
  sample.documents.resize(length, document);
}

Sample joined(std::span<const Sample> samples, int64_t multiple, int32_t pad) {
  Sample all;
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  for (const Sample& sample : samples) {
    const int32_t first = all.documents.empty() ? 0 : all.documents.back() + 1;
    append(all.tokens, sample.tokens);
    append(all.labels, sample.labels);
    append(all.loss_weights, sample.loss_weights);
    append(all.positions, sample.positions);
    for (const int32_t document : sample.documents) all.documents.push_back(first + document);
  }
  const auto tokens = static_cast<int64_t>(all.tokens.size());
  pad_behind(all, (tokens + multiple - 1) / multiple * multiple, pad);
  return all;
}

PackedSample sample_of(const PackedRow& packed, int64_t size, int32_t pad) {
  PackedSample out;
  const std::vector<float> weights(packed.loss_mask.begin(), packed.loss_mask.end());
  out.cu_seqlens.push_back(0);
  const size_t segments = packed.seq_start_id.size();
  for (size_t s = 0; s < segments; ++s) {
    const auto begin = static_cast<size_t>(packed.seq_start_id[s]);
    const size_t end = s + 1 < segments ? static_cast<size_t>(packed.seq_start_id[s + 1]) : packed.input_ids.size();
    append_segment(out.sample, std::span(packed.input_ids).subspan(begin, end - begin),
                   std::span(weights).subspan(begin, end - begin), 1, pad);
    out.cu_seqlens.push_back(static_cast<int32_t>(out.sample.tokens.size()));
  }
  const auto used = static_cast<int64_t>(out.sample.tokens.size());
  if (used > size)
    throw Error(ErrorKind::kInput, "packed row", "is longer than a sample",
                {.got = std::to_string(used) + " tokens", .want = "at most " + std::to_string(size)});
  pad_behind(out.sample, size, pad);
  if (used < size) out.cu_seqlens.push_back(static_cast<int32_t>(size));
  for (size_t s = 1; s < out.cu_seqlens.size(); ++s)
    out.max_seqlen = std::max(out.max_seqlen, out.cu_seqlens[s] - out.cu_seqlens[s - 1]);
  return out;
}

}  // namespace rialto::data
