// Rows in an order that each epoch draws anew.
#include "rialto/data/sft_dataset.h"

#include <algorithm>
#include <numeric>

#include "rialto/base/error.h"
#include "rialto/data/numpy_random.h"

namespace rialto::data {

SftDataset::SftDataset(SftDatasetOptions options, std::shared_ptr<const SftTokens> rows)
    : options_(std::move(options)),
      rows_(std::move(rows)),
      size_(options_.num_samples > 0 ? options_.num_samples : rows_->num_rows()) {
  if (options_.seq_length < 1)
    throw Error(ErrorKind::kConfig, options_.source, "needs a sequence length of at least 1");
}

SftDataset::Order SftDataset::order(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  auto& slot = orders_[static_cast<size_t>(epoch % 2)];
  if (slot.second && slot.first == epoch) return slot.second;
  auto drawn = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(rows_->num_rows()));
  std::iota(drawn->begin(), drawn->end(), 0);
  if (options_.shuffled) NumpyRandomState((options_.seed + epoch) % (int64_t{1} << 32)).shuffle(std::span(*drawn));
  slot = {epoch, drawn};
  return drawn;
}

int64_t SftDataset::row_of(int64_t index) const {
  if (index < 0 || index >= size_)
    throw Error(ErrorKind::kInternal, options_.source, "has no such sample",
                {.got = std::to_string(index), .want = "below " + std::to_string(size_)});
  const int64_t rows = rows_->num_rows();
  return (*order(index / rows))[static_cast<size_t>(index % rows)];
}

Sample SftDataset::get(int64_t index) const {
  const auto row = static_cast<size_t>(row_of(index));
  const auto begin = static_cast<size_t>(rows_->starts[row]);
  const size_t count =
      std::min(static_cast<size_t>(rows_->starts[row + 1]) - begin - 1, static_cast<size_t>(options_.seq_length));
  const auto ids = rows_->ids.subspan(begin, count + 1);
  const auto weights = rows_->weights.subspan(begin, count + 1);
  const auto length = static_cast<size_t>(options_.seq_length);
  Sample sample;
  sample.tokens.assign(ids.begin(), ids.end() - 1);
  sample.labels.assign(ids.begin() + 1, ids.end());
  sample.loss_weights.assign(weights.begin() + 1, weights.end());
  sample.tokens.resize(length, options_.pad_token);
  sample.labels.resize(length, options_.pad_token);
  sample.loss_weights.resize(length, 0);
  sample.positions.resize(length);
  std::iota(sample.positions.begin(), sample.positions.end(), 0);
  sample.documents.assign(length, 0);  // padding stands behind everything, where no token of the row looks
  return sample;
}

SampleStart SftDataset::start(int64_t index) const { return {.document = row_of(index)}; }

std::vector<Consumed> SftDataset::consumed(int64_t count) const {
  if (count < 0 || count > size_)
    throw Error(ErrorKind::kInternal, options_.source, "has fewer samples",
                {.got = std::to_string(count), .want = "at most " + std::to_string(size_)});
  const int64_t rows = rows_->num_rows();
  int64_t tokens = count / rows * static_cast<int64_t>(rows_->ids.size());
  for (int64_t i = count / rows * rows; i < count; ++i) {
    const auto row = static_cast<size_t>(row_of(i));
    tokens += rows_->starts[row + 1] - rows_->starts[row];
  }
  return {{options_.source, count, tokens, static_cast<double>(count) / static_cast<double>(rows)}};
}

}  // namespace rialto::data
