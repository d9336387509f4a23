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

PackedSample sample_of(const PackedRow& packed, int64_t size, int32_t pad) {
  PackedSample out;
  Sample& sample = out.sample;
  out.cu_seqlens.push_back(0);
  const size_t segments = packed.seq_start_id.size();
  for (size_t s = 0; s < segments; ++s) {
    const auto begin = static_cast<size_t>(packed.seq_start_id[s]);
    const size_t end = s + 1 < segments ? static_cast<size_t>(packed.seq_start_id[s + 1]) : packed.input_ids.size();
    for (size_t i = begin; i + 1 < end; ++i) {
      sample.tokens.push_back(packed.input_ids[i]);
      sample.labels.push_back(packed.input_ids[i + 1]);
      sample.loss_weights.push_back(packed.loss_mask[i]);
      sample.positions.push_back(static_cast<int32_t>(i - begin));
      sample.documents.push_back(static_cast<int32_t>(s));
    }
    out.cu_seqlens.push_back(static_cast<int32_t>(sample.tokens.size()));
  }
  const auto used = static_cast<int64_t>(sample.tokens.size());
  if (used > size)
    throw Error(ErrorKind::kInput, "packed row", "is longer than a sample",
                {.got = std::to_string(used) + " tokens", .want = "at most " + std::to_string(size)});
  for (int64_t i = used; i < size; ++i) {
    sample.tokens.push_back(pad);
    sample.labels.push_back(pad);
    sample.loss_weights.push_back(0);
    sample.positions.push_back(static_cast<int32_t>(i - used));
    sample.documents.push_back(static_cast<int32_t>(segments));
  }
  if (used < size) out.cu_seqlens.push_back(static_cast<int32_t>(size));
  for (size_t s = 1; s < out.cu_seqlens.size(); ++s)
    out.max_seqlen = std::max(out.max_seqlen, out.cu_seqlens[s] - out.cu_seqlens[s - 1]);
  return out;
}

}  // namespace rialto::data
