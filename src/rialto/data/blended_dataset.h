// Samples of several sources, mixed by weight.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "rialto/data/dataset.h"
#include "rialto/data/index_file.h"

namespace rialto::data {

/// Megatron's BlendedDataset: the same source and the same sample of it for each number.
/// Source: megatron/core/datasets/blended_dataset.py.
class BlendedDataset : public Dataset {
 public:
  /// `weights` need not sum to 1; `size` samples. Throws kConfig when a source has fewer samples than it must give.
  BlendedDataset(std::vector<std::unique_ptr<Dataset>> sources, const std::vector<double>& weights, int64_t size,
                 const IndexCache& cache);
  /// Every sample of every source once.
  BlendedDataset(std::vector<std::unique_ptr<Dataset>> sources, const IndexCache& cache);

  int64_t size() const override { return static_cast<int64_t>(sources_.size()); }
  Sample get(int64_t index) const override;
  SampleStart start(int64_t index) const override;
  std::vector<Consumed> consumed(int64_t count) const override;
  std::span<const int16_t> source_index() const { return sources_; }
  std::span<const int64_t> sample_index() const { return samples_; }

 private:
  size_t checked(int64_t index) const;
  void open(HeldArrays held);
  std::vector<int64_t> counts(int64_t count) const;  ///< samples of each source among the first `count`

  std::vector<std::unique_ptr<Dataset>> datasets_;
  HeldArrays held_;
  std::span<const int16_t> sources_;
  std::span<const int64_t> samples_;
};

}  // namespace rialto::data
