// Samples of fine-tuning rows by number: a row each, padded.
#pragma once

#include <memory>

#include "rialto/data/dataset.h"
#include "rialto/data/epoch_order.h"
#include "rialto/data/sft_tokens.h"

namespace rialto::data {

struct SftDatasetOptions {
  std::string source;  ///< the file's name, for the ledger
  int64_t seq_length = 0;
  int64_t num_samples = 0;  ///< how many the run will ask for; 0: each row once
  int64_t seed = 1234;
  bool shuffled = true;   ///< each epoch in an order of its own; else rows come as they stand
  int32_t pad_token = 0;  ///< behind a row's end, without loss
  bool padded = true;     ///< else a sample ends with its row: for batches that lay rows end to end
};

/// Throws kInternal when there is no sample `index` of `size`, or there are fewer than `count`.
void require_sample(const std::string& source, int64_t index, int64_t size);
void require_count(const std::string& source, int64_t count, int64_t size);

/// Sample n is row `n mod rows` of the order of epoch `n / rows`: a function of the number alone, so a resumed run goes
/// on exactly. Of a row's tokens all but the last are tokens and all but the first are labels; a label has its own
/// token's weight. Thread-safe.
class SftDataset : public Dataset {
 public:
  SftDataset(SftDatasetOptions options, std::shared_ptr<const SftTokens> rows);
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override;
  SampleStart start(int64_t index) const override;  ///< `document`: the row, those that were left out not counted
  /// Tokens are those of rows, without padding.
  std::vector<Consumed> consumed(int64_t count) const override;

 private:
  int64_t row_of(int64_t index) const;

  SftDatasetOptions options_;
  std::shared_ptr<const SftTokens> rows_;
  EpochOrder order_;
  int64_t size_;
};

}  // namespace rialto::data
