// Samples of one token file by number.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "rialto/base/file_ops.h"
#include "rialto/data/dataset.h"
#include "rialto/data/index_file.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::data {

struct GptDatasetOptions {
  fs::path prefix = {};  ///< of .bin/.idx
  int64_t seq_length = 0;
  int64_t num_samples = 0;  ///< how many the run will ask for; epochs follow from it. 0: one epoch
  int64_t seed = 1234;
  int64_t first_document = 0, last_document = -1;  ///< a split's range of sequences; -1: all
  std::optional<int32_t> eod_token = {};           ///< for the options below
  bool eod_mask_loss = false, reset_position_ids = false, reset_attention_mask = false;
  IndexCache cache = {};  ///< where the indices are kept; no folder: in memory
};

using Tokens = std::shared_ptr<const formats::IndexedDataset>;

/// Megatron's GPTDataset: same document, sample and shuffle indices for the same seed.
/// Source: megatron/core/datasets/gpt_dataset.py and helpers.cpp.
class GptDataset : public Dataset {
 public:
  explicit GptDataset(const GptDatasetOptions& options);  ///< throws kInput / kConfig (fewer tokens than one sample)
  GptDataset(const GptDatasetOptions& options, Tokens tokens);  ///< `tokens`: those of options.prefix, opened
  ~GptDataset() override;
  int64_t size() const override;
  Sample get(int64_t index) const override;
  SampleStart start(int64_t index) const override;
  std::vector<Consumed> consumed(int64_t count) const override;
  std::span<const int32_t> document_index() const;
  std::span<const int64_t> sample_index() const;  ///< pairs: (position in document_index, offset)
  std::span<const int64_t> shuffle_index() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rialto::data
