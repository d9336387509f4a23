// Micro-batches by sample number.
#include "rialto/train/batches.h"

#include <ATen/Functions.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/data/packed_row.h"

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

}  // namespace

model::Batch make_batch(const data::Dataset& dataset, int64_t first, int64_t count, const BatchForm& form) {
  model::Batch batch;
  std::vector<data::Sample> samples;
  for (int64_t number = first; number < first + count; ++number) {
    samples.push_back(dataset.get(number));
    check_tokens(samples.back().tokens, form.vocab, number);
    check_tokens(samples.back().labels, form.vocab, number);
    if (form.joined_multiple == 0 || number == first) batch.sample_numbers.push_back(number);
  }
  if (form.joined_multiple > 0) samples = {data::joined(samples, form.joined_multiple, 0)};
  const auto rows = static_cast<int64_t>(samples.size()), length = static_cast<int64_t>(samples[0].tokens.size());
  const auto fill = [&]<class To, class From>(at::Tensor& tensor, at::ScalarType type,
                                              std::vector<From> data::Sample::* values, To*) {
    if ((samples[0].*values).empty()) return;
    tensor = at::empty({rows, length}, at::TensorOptions().dtype(type));
    To* to = tensor.data_ptr<To>();
    for (const data::Sample& sample : samples) to = std::copy((sample.*values).begin(), (sample.*values).end(), to);
    tensor = tensor.to(form.device);
  };
  constexpr int64_t* kIds = nullptr;
  constexpr float* kWeights = nullptr;
  fill(batch.tokens_BS, at::kLong, &data::Sample::tokens, kIds);
  fill(batch.labels_BS, at::kLong, &data::Sample::labels, kIds);
  fill(batch.loss_weights_BS, at::kFloat, &data::Sample::loss_weights, kWeights);
  fill(batch.positions_BS, at::kLong, &data::Sample::positions, kIds);
  fill(batch.documents_BS, at::kLong, &data::Sample::documents, kIds);
  return batch;
}

GlobalBatch make_global_batch(const data::Dataset& dataset, int64_t first, int64_t global_size, int64_t micro_size,
                              const BatchForm& form, const Share& share) {
  GlobalBatch batch;
  batch.num_micro_batches = static_cast<size_t>((global_size + micro_size - 1) / micro_size);
  for (int64_t done = share.index * micro_size; done < global_size; done += share.count * micro_size) {
    batch.micro_batches.push_back(make_batch(dataset, first + done, std::min(micro_size, global_size - done), form));
    batch.total_weight += batch.micro_batches.back().loss_weights_BS.sum(at::kDouble).item<double>();
    batch.num_tokens += batch.micro_batches.back().tokens_BS.numel();
  }
  return batch;
}

std::vector<int64_t> sample_numbers(int64_t first, int64_t global_size, int64_t micro_size, const Share& share) {
  std::vector<int64_t> numbers;
  for (int64_t done = share.index * micro_size; done < global_size; done += share.count * micro_size)
    for (int64_t i = done; i < std::min(done + micro_size, global_size); ++i) numbers.push_back(first + i);
  return numbers;
}

}  // namespace rialto::train
