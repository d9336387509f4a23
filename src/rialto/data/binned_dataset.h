// Samples by number of several fine-tuning rows each, packed while they are read: no packed file is written.
#pragma once

#include <memory>

#include "rialto/data/row_bins.h"
#include "rialto/data/sft_dataset.h"

namespace rialto::data {

/// Sample n is bin n of the epochs one after the other; see RowBins. A row is a document with positions of its own,
/// behind its end padded to the multiple; a row's weights are kept. Thread-safe.
class BinnedDataset : public Dataset {
 public:
  /// `options.seq_length`: tokens of a sample. Throws kInput for a row that does not fit.
  BinnedDataset(SftDatasetOptions options, std::shared_ptr<const SftTokens> rows, int64_t multiple, int64_t window);
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override;
  SampleStart start(int64_t index) const override;  ///< `document`: the first row of the bin
  /// Tokens are those of rows, without padding.
  std::vector<Consumed> consumed(int64_t count) const override;

 private:
  SftDatasetOptions options_;
  std::shared_ptr<const SftTokens> rows_;
  int64_t multiple_;
  RowBins bins_;
  int64_t size_;
};

}  // namespace rialto::data
