// Bins of packed files in an order that each epoch draws anew.
#include "rialto/data/packed_dataset.h"

#include <algorithm>

#include "rialto/base/error.h"

namespace rialto::data {

PackedDataset::PackedDataset(SftDatasetOptions options, std::shared_ptr<const PackedTokens> bins, int64_t longest)
    : options_(std::move(options)),
      bins_(std::move(bins)),
      order_(bins_->num_bins(), options_.seed, options_.shuffled),
      size_(options_.num_samples > 0 ? options_.num_samples : bins_->num_bins()) {
  for (int64_t bin = 0; bin < bins_->num_bins(); ++bin) {
    const PackedTokens::Room room = bins_->room_of(bin);
    if (room.tokens > options_.seq_length)
      throw Error(ErrorKind::kInput, bins_->where(bin), "is longer than a sample",
                  {.got = std::to_string(room.tokens) + " tokens",
                   .want = "at most " + std::to_string(options_.seq_length),
                   .hint = "packed_sequence_size is what the file was packed to"});
    if (room.longest > longest)
      throw Error(ErrorKind::kInput, bins_->where(bin), "has a segment that is longer than dataset.seq_length",
                  {.got = std::to_string(room.longest) + " tokens", .want = "at most " + std::to_string(longest)});
  }
}

int64_t PackedDataset::bin_of(int64_t index) const {
  require_sample(options_.source, index, size_);
  const int64_t bins = bins_->num_bins();
  return (*order_(index / bins))[static_cast<size_t>(index % bins)];
}

Sample PackedDataset::get(int64_t index) const {
  return sample_of(bins_->bin(bin_of(index)), options_.seq_length, options_.pad_token).sample;
}

SampleStart PackedDataset::start(int64_t index) const { return {.document = bin_of(index)}; }

std::vector<Consumed> PackedDataset::consumed(int64_t count) const {
  require_count(options_.source, count, size_);
  const int64_t bins = bins_->num_bins();
  int64_t tokens = count / bins * static_cast<int64_t>(bins_->ids.size());
  for (int64_t i = count / bins * bins; i < count; ++i)
    tokens += static_cast<int64_t>(bins_->bin(bin_of(i)).input_ids.size());
  return {{options_.source, count, tokens, static_cast<double>(count) / static_cast<double>(bins)}};
}

}  // namespace rialto::data
