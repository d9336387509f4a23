// Micro-batches by sample number.
#include "rialto/train/batches.h"

#include <ATen/Functions.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::train {
namespace {

void check_tokens(const std::vector<int32_t>& tokens, int64_t vocab, int64_t sample) {
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab) {
      throw Error(ErrorKind::kInput, fmt::format("sample {}", sample), "a token that the model does not have",
                  {.got = std::to_string(token),
                   .want = fmt::format("0 to {}", vocab - 1),
                   .hint = "was the data tokenized with another tokenizer?"});
    }
  }
}

at::Tensor rows_of(int64_t rows, int64_t columns, at::ScalarType type) {
  return at::empty({rows, columns}, at::TensorOptions().dtype(type));
}

}  // namespace

model::Batch make_batch(const data::Dataset& dataset, int64_t first, int64_t count, int64_t vocab, at::Device device) {
  model::Batch batch;
  int64_t length = 0;
  for (int64_t row = 0; row < count; ++row) {
    const int64_t number = first + row;
    const data::Sample sample = dataset.get(number);
    check_tokens(sample.tokens, vocab, number);
    check_tokens(sample.labels, vocab, number);
    if (row == 0) {
      length = static_cast<int64_t>(sample.tokens.size());
      batch.tokens_BS = rows_of(count, length, at::kLong);
      batch.labels_BS = rows_of(count, length, at::kLong);
      batch.loss_weights_BS = rows_of(count, length, at::kFloat);
      batch.positions_BS = rows_of(count, length, at::kLong);
      if (!sample.documents.empty()) batch.documents_BS = rows_of(count, length, at::kLong);
    }
    std::copy(sample.tokens.begin(), sample.tokens.end(), batch.tokens_BS.data_ptr<int64_t>() + row * length);
    std::copy(sample.labels.begin(), sample.labels.end(), batch.labels_BS.data_ptr<int64_t>() + row * length);
    std::copy(sample.loss_weights.begin(), sample.loss_weights.end(),
              batch.loss_weights_BS.data_ptr<float>() + row * length);
    std::copy(sample.positions.begin(), sample.positions.end(), batch.positions_BS.data_ptr<int64_t>() + row * length);
    if (batch.documents_BS.defined()) {
      std::copy(sample.documents.begin(), sample.documents.end(),
                batch.documents_BS.data_ptr<int64_t>() + row * length);
    }
    batch.sample_numbers.push_back(number);
  }
  for (at::Tensor* tensor :
       {&batch.tokens_BS, &batch.labels_BS, &batch.loss_weights_BS, &batch.positions_BS, &batch.documents_BS}) {
    if (tensor->defined()) *tensor = tensor->to(device);
  }
  return batch;
}

GlobalBatch make_global_batch(const data::Dataset& dataset, int64_t first, int64_t global_size, int64_t micro_size,
                              int64_t vocab, at::Device device, const Share& share) {
  GlobalBatch batch;
  batch.num_micro_batches = static_cast<size_t>((global_size + micro_size - 1) / micro_size);
  for (int64_t done = share.index * micro_size; done < global_size; done += share.count * micro_size) {
    batch.micro_batches.push_back(
        make_batch(dataset, first + done, std::min(micro_size, global_size - done), vocab, device));
    batch.total_weight += batch.micro_batches.back().loss_weights_BS.sum(at::kDouble).item<double>();
    batch.num_tokens += batch.micro_batches.back().tokens_BS.numel();
  }
  return batch;
}

}  // namespace rialto::train
