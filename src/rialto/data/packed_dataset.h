// Samples by number out of rows that were packed before the run: a bin each.
#pragma once

#include <memory>

#include "rialto/data/epoch_order.h"
#include "rialto/data/packed_tokens.h"
#include "rialto/data/sft_dataset.h"

namespace rialto::data {

/// Sample n is bin `n mod bins` of the order of epoch `n / bins`; see PackedSample for what the model gets. Padding is
/// behind the last segment, a document of its own. Thread-safe.
class PackedDataset : public Dataset {
 public:
  /// `options.seq_length`: the size of a bin. Throws kInput naming file and row when a bin is larger, or one of its
  /// segments is longer than `longest` tokens.
  PackedDataset(SftDatasetOptions options, std::shared_ptr<const PackedTokens> bins, int64_t longest);
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override;
  SampleStart start(int64_t index) const override;  ///< `document`: the bin
  std::vector<Consumed> consumed(int64_t count) const override;

 private:
  int64_t bin_of(int64_t index) const;

  SftDatasetOptions options_;
  std::shared_ptr<const PackedTokens> bins_;
  EpochOrder order_;
  int64_t size_;
};

}  // namespace rialto::data
