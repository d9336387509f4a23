// Document, sample and shuffle index of a GPT dataset.
#include "rialto/data/sample_index.h"

#include <limits>
#include <numeric>
#include <string>

#include "rialto/base/error.h"
#include "rialto/data/numpy_random.h"

namespace rialto::data {
namespace {

constexpr const char* kWhere = "dataset";
constexpr int64_t kExtraToken = 1;  // a sample reads one token more than its length: the last label

/// How often the documents are gone through, and whether the last time is shuffled apart from the others.
struct Epochs {
  int64_t count = 1;
  bool separate_last = false;
  int64_t samples_before_last = 0;
};

Epochs plan_epochs(int64_t tokens, int64_t seq_length, int64_t num_samples) {
  Epochs epochs;
  const int64_t wanted = num_samples * seq_length + kExtraToken;
  if (num_samples > 0 && wanted > tokens) epochs.count = (wanted + tokens - 1) / tokens;
  if (epochs.count == 1) return epochs;
  epochs.samples_before_last = ((epochs.count - 1) * tokens - kExtraToken) / seq_length;
  const int64_t from_last = num_samples - epochs.samples_before_last;
  const int64_t per_epoch = (tokens - kExtraToken) / seq_length;
  epochs.separate_last = from_last < static_cast<int64_t>(0.80 * static_cast<double>(per_epoch));
  return epochs;
}

void append_epochs(std::vector<int32_t>& documents, int64_t first, int64_t last, int64_t epochs,
                   NumpyRandomState& random) {
  const size_t begin = documents.size();
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    for (int64_t document = first; document < last; ++document) documents.push_back(static_cast<int32_t>(document));
  }
  random.shuffle(std::span(documents).subspan(begin));
}

/// Cuts the documents, laid end to end, into runs of seq_length + 1 tokens that overlap by one.
std::vector<int64_t> cut_samples(std::span<const int32_t> lengths, std::span<const int32_t> documents,
                                 int64_t seq_length, int64_t total_tokens) {
  const int64_t count = (total_tokens - kExtraToken) / seq_length;
  std::vector<int64_t> samples{0, 0};
  samples.reserve(static_cast<size_t>(2 * (count + 1)));
  size_t place = 0;
  int64_t offset = 0;
  for (int64_t sample = 0; sample < count; ++sample) {
    int64_t remaining = seq_length + kExtraToken;
    while (true) {
      const int64_t length = lengths[static_cast<size_t>(documents[place])] - offset;
      if (remaining <= length) break;
      remaining -= length;
      offset = 0;
      ++place;  // stays inside: count samples never need more tokens than there are
    }
    offset += remaining - kExtraToken;
    samples.push_back(static_cast<int64_t>(place));
    samples.push_back(offset);
  }
  return samples;
}

std::vector<int64_t> shuffle_samples(int64_t first_part, int64_t total, NumpyRandomState& random) {
  std::vector<int64_t> order(static_cast<size_t>(total));
  std::iota(order.begin(), order.end(), 0);
  const std::span<int64_t> all(order);
  random.shuffle(all.first(static_cast<size_t>(first_part)));
  if (first_part < total) random.shuffle(all.subspan(static_cast<size_t>(first_part)));
  return order;
}

}  // namespace

SampleIndices build_sample_indices(std::span<const int32_t> lengths, int64_t first, int64_t last, int64_t seq_length,
                                   int64_t num_samples, int64_t seed) {
  NumpyRandomState random(seed);
  const auto used = lengths.subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
  const int64_t tokens = std::accumulate(used.begin(), used.end(), int64_t{0});
  if (tokens < seq_length + kExtraToken) {
    throw Error(ErrorKind::kConfig, kWhere, "has fewer tokens than one sample",
                {.got = std::to_string(tokens), .want = std::to_string(seq_length + kExtraToken)});
  }
  const Epochs epochs = plan_epochs(tokens, seq_length, num_samples);
  SampleIndices indices;
  indices.documents.reserve(used.size() * static_cast<size_t>(epochs.count));
  append_epochs(indices.documents, first, last, epochs.separate_last ? epochs.count - 1 : epochs.count, random);
  if (epochs.separate_last) append_epochs(indices.documents, first, last, 1, random);
  indices.samples = cut_samples(lengths, indices.documents, seq_length, epochs.count * tokens);
  const auto total = static_cast<int64_t>(indices.samples.size()) / 2 - 1;
  indices.shuffle = shuffle_samples(epochs.separate_last ? epochs.samples_before_last : total, total, random);
  return indices;
}

}  // namespace rialto::data
