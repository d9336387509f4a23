// Batches by sample number: a pure function of (dataset, seed, sample number), so a resumed run reads the same data.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::data {

/// One training sample of seq_length tokens: tokens[i] predicts labels[i].
struct Sample {
  std::vector<int32_t> tokens, labels;
  std::vector<float> loss_weights;
  std::vector<int32_t> positions, documents;
};

struct GptDatasetOptions {
  fs::path prefix = {};  ///< of .bin/.idx
  int64_t seq_length = 0;
  int64_t num_samples = 0;  ///< how many the run will ask for; epochs follow from it. 0: one epoch
  int64_t seed = 1234;
  int64_t first_document = 0, last_document = -1;  ///< a split's range of documents; -1: all
  std::optional<int32_t> eod_token = {};           ///< for the options below
  bool eod_mask_loss = false, reset_position_ids = false, reset_attention_mask = false;
};

/// Megatron's GPTDataset: same document, sample and shuffle indices for the same seed, built in memory.
/// Source: megatron/core/datasets/gpt_dataset.py and helpers.cpp.
class GptDataset {
 public:
  explicit GptDataset(const GptDatasetOptions& options);  ///< throws kInput / kConfig (fewer tokens than one sample)
  ~GptDataset();
  GptDataset(GptDataset&&) noexcept;
  int64_t size() const;
  Sample get(int64_t index) const;  ///< index in [0, size)
  std::span<const int32_t> document_index() const;
  std::span<const int64_t> sample_index() const;  ///< pairs: (position in document_index, offset)
  std::span<const int64_t> shuffle_index() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Document ranges [first, last) of the train, validation and test splits of "9999,8,2", as Megatron rounds them;
/// missing parts are empty. Throws kConfig for anything but one to three non-negative numbers that are not all 0.
std::vector<std::pair<int64_t, int64_t>> split_documents(const std::string& split, int64_t num_documents);

}  // namespace rialto::data
