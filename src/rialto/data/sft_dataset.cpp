// Rows in an order that each epoch draws anew.
#include "rialto/data/sft_dataset.h"

#include <algorithm>
#include <numeric>

#include "rialto/base/error.h"
#include "rialto/data/packed_row.h"

namespace rialto::data {

void require_sample(const std::string& source, int64_t index, int64_t size) {
  if (index < 0 || index >= size)
    throw Error(ErrorKind::kInternal, source, "has no such sample",
                {.got = std::to_string(index), .want = "below " + std::to_string(size)});
}

void require_count(const std::string& source, int64_t count, int64_t size) {
  if (count < 0 || count > size)
    throw Error(ErrorKind::kInternal, source, "has fewer samples",
                {.got = std::to_string(count), .want = "at most " + std::to_string(size)});
}

SftDataset::SftDataset(SftDatasetOptions options, std::shared_ptr<const SftTokens> rows)
    : options_(std::move(options)),
      rows_(std::move(rows)),
      order_(rows_->num_rows(), options_.seed, options_.shuffled),
      size_(options_.num_samples > 0 ? options_.num_samples : rows_->num_rows()) {
  if (options_.seq_length < 1)
    throw Error(ErrorKind::kConfig, options_.source, "needs a sequence length of at least 1");
}

int64_t SftDataset::row_of(int64_t index) const {
  require_sample(options_.source, index, size_);
  const int64_t rows = rows_->num_rows();
  return (*order_(index / rows))[static_cast<size_t>(index % rows)];
}

Sample SftDataset::get(int64_t index) const {
  const int64_t row = row_of(index);
  const auto length = static_cast<size_t>(options_.seq_length);
  const std::span<const int32_t> ids = rows_->ids_of(row);
  const size_t count = std::min(ids.size() - 1, length);
  Sample sample;
  append_segment(sample, ids.first(count + 1), rows_->label_weights_of(row), 1, options_.pad_token);
  if (!options_.padded) return sample;
  sample.tokens.resize(length, options_.pad_token);
  sample.labels.resize(length, options_.pad_token);
  sample.loss_weights.resize(length, 0);
  sample.positions.resize(length);
  std::iota(sample.positions.begin(), sample.positions.end(), 0);
  sample.documents.resize(length, 0);  // padding stands behind everything, where no token of the row looks
  return sample;
}

SampleStart SftDataset::start(int64_t index) const { return {.document = row_of(index)}; }

std::vector<Consumed> SftDataset::consumed(int64_t count) const {
  require_count(options_.source, count, size_);
  const int64_t rows = rows_->num_rows();
  int64_t tokens = count / rows * static_cast<int64_t>(rows_->ids.size());
  for (int64_t i = count / rows * rows; i < count; ++i) {
    const auto row = static_cast<size_t>(row_of(i));
    tokens += rows_->starts[row + 1] - rows_->starts[row];
  }
  return {{options_.source, count, tokens, static_cast<double>(count) / static_cast<double>(rows)}};
}

}  // namespace rialto::data
