// Tokenised rows, several of them in one, and what a model gets of that. Source: Megatron Bridge, packing_utils.py and
// the collate function of its packed dataset.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rialto/data/dataset.h"

namespace rialto::data {

/// A row before packing: as many mask entries as tokens; 1: the token is learned, where it is the label.
struct TokenRow {
  std::vector<int32_t> ids;
  std::vector<uint8_t> mask;
};

/// A bin as Bridge stores it. A segment of n tokens takes n - 1 of the bin's room, because its last token is a label
/// alone. loss_mask is the rows' moved left by one: entry i is of the label of token i; a segment's last entry is 0.
struct PackedRow {
  std::vector<int32_t> input_ids;
  std::vector<uint8_t> loss_mask;
  std::vector<int32_t> seq_start_id;  ///< where each segment begins in input_ids
};

/// What segments must be a multiple of: 2 * cp for context parallelism, tp * cp for sequence parallelism (`tp` is 1
/// without it), `also` for whatever else.
int64_t padding_multiple(int64_t cp, int64_t tp, int64_t also = 1);

/// The room a row of `tokens` takes: tokens - 1, rounded up to `multiple`.
int64_t room_of(int64_t tokens, int64_t multiple);

/// Appends a segment, behind its tokens as many `pad` without loss as make its room a multiple.
void append(PackedRow& packed, const TokenRow& row, int64_t multiple, int32_t pad);

/// Appends a document to a sample: n ids are n - 1 tokens and as many labels. label_weights[i]: of ids[i + 1]. Padding
/// without loss makes its tokens a multiple.
void append_segment(Sample& sample, std::span<const int32_t> ids, std::span<const float> label_weights,
                    int64_t multiple, int32_t pad);
/// Padding up to `size` tokens, a document of its own, whose tokens all stand at position 0: there may be more of them
/// than a model has positions.
void pad_behind(Sample& sample, int64_t size, int32_t pad);

/// The samples of a micro-batch laid end to end, each with its documents, and padding behind them up to a multiple.
Sample joined(std::span<const Sample> samples, int64_t multiple, int32_t pad);

/// What the model gets.
struct PackedSample {
  Sample sample;  ///< of `size` tokens; positions begin at 0 in each segment, documents number them
  std::vector<int32_t>
      cu_seqlens;          ///< 0, then the end of each segment; padding behind the last is a segment of its own
  int32_t max_seqlen = 0;  ///< the longest segment
};

/// Throws kInput when the bin needs more than `size`.
PackedSample sample_of(const PackedRow& packed, int64_t size, int32_t pad);

}  // namespace rialto::data
