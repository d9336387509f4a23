// Bins of rows as samples.
#include "rialto/data/binned_dataset.h"

#include "rialto/data/packed_row.h"

namespace rialto::data {

BinnedDataset::BinnedDataset(SftDatasetOptions options, std::shared_ptr<const SftTokens> rows, int64_t multiple,
                             int64_t window)
    : options_(std::move(options)),
      rows_(std::move(rows)),
      multiple_(multiple),
      bins_(rows_->starts, {.capacity = options_.seq_length,
                            .multiple = multiple,
                            .window = window,
                            .seed = options_.seed,
                            .shuffled = options_.shuffled}),
      size_(options_.num_samples > 0 ? options_.num_samples : bins_.bins_of(0)) {}

Sample BinnedDataset::get(int64_t index) const {
  require_sample(options_.source, index, size_);
  Sample sample;
  for (const int64_t row : bins_.rows(bins_.place(index)))
    append_segment(sample, rows_->ids_of(row), rows_->label_weights_of(row), multiple_, options_.pad_token);
  pad_behind(sample, options_.seq_length, options_.pad_token);
  return sample;
}

SampleStart BinnedDataset::start(int64_t index) const {
  require_sample(options_.source, index, size_);
  return {.document = bins_.rows(bins_.place(index)).front()};
}

std::vector<Consumed> BinnedDataset::consumed(int64_t count) const {
  require_count(options_.source, count, size_);
  if (count == 0) return {{options_.source, 0, 0, 0}};
  const RowBins::Place last = bins_.place(count - 1);
  int64_t tokens = last.epoch * static_cast<int64_t>(rows_->ids.size()), rows = last.epoch * rows_->num_rows();
  for (int64_t bin = 0; bin <= last.bin; ++bin)
    for (const int64_t row : bins_.rows({last.epoch, bin})) {
      tokens += static_cast<int64_t>(rows_->ids_of(row).size());
      ++rows;
    }
  return {{options_.source, count, tokens, static_cast<double>(rows) / static_cast<double>(rows_->num_rows())}};
}

}  // namespace rialto::data
