// Samples prepared by threads while others are trained on.
#pragma once

#include <memory>

#include "rialto/data/dataset.h"

namespace rialto::data {

/// The samples of another data set, unchanged. Those that were announced and not asked for yet are made by threads and
/// kept; a new announcement forgets the older ones that it does not repeat. Thread-safe.
class PrefetchingDataset : public Dataset {
 public:
  /// `threads` >= 1.
  PrefetchingDataset(std::unique_ptr<Dataset> samples, size_t threads);
  ~PrefetchingDataset() override;  ///< waits for what is being made
  int64_t size() const override;
  Sample get(int64_t index) const override;
  void announce(std::span<const int64_t> indices) const override;
  SampleStart start(int64_t index) const override;
  std::vector<Consumed> consumed(int64_t count) const override;
  /// How many of the samples asked for so far had been announced.
  int64_t num_prepared() const;

 private:
  struct Work;
  std::unique_ptr<Dataset> samples_;
  std::unique_ptr<Work> work_;
};

}  // namespace rialto::data
