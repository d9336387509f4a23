// Document, sample and shuffle index of a GPT dataset.
#include "rialto/data/sample_index.h"

#include <algorithm>
#include <future>
#include <numeric>
#include <string>

#include <sys/mman.h>

#include "rialto/base/error.h"
#include "rialto/base/parallel.h"
#include "rialto/data/numpy_random.h"

namespace rialto::data {
namespace {

constexpr const char* kWhere = "dataset";
constexpr size_t kBlock = 1u << 16;  // documents that one thread cuts at a time
constexpr int64_t kExtraToken = 1;   // a sample reads one token more than its length: the last label

/// How often the documents are gone through, and whether the last time is shuffled apart from the others.
struct Epochs {
  int64_t count = 1;
  bool separate_last = false;
  int64_t samples_before_last = 0;
};

/// a * b. Throws kConfig when 64 bits are too few.
int64_t product(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out))
    throw Error(ErrorKind::kConfig, kWhere, "asks for more tokens than 64 bits can count",
                {.got = std::to_string(a) + " times " + std::to_string(b)});
  return out;
}

Epochs plan_epochs(int64_t tokens, int64_t seq_length, int64_t num_samples) {
  Epochs epochs;
  const int64_t wanted = product(num_samples, seq_length) + kExtraToken;
  if (num_samples > 0 && wanted > tokens) epochs.count = (wanted - 1) / tokens + 1;
  if (epochs.count == 1) return epochs;
  epochs.samples_before_last = (product(epochs.count - 1, tokens) - kExtraToken) / seq_length;
  const int64_t from_last = num_samples - epochs.samples_before_last;
  const int64_t per_epoch = (tokens - kExtraToken) / seq_length;
  epochs.separate_last = from_last < static_cast<int64_t>(0.80 * static_cast<double>(per_epoch));
  return epochs;
}

/// Room for `count` values in huge pages, if the system has some: an order touches its arrays everywhere, and small
/// pages would make each touch a miss of the address table too, and each page a fault.
template <class T>
void reserve_huge(std::vector<T>& values, size_t count) {
  values.reserve(count);
  constexpr uintptr_t kPage = 2u << 20;
  const auto data = reinterpret_cast<uintptr_t>(values.data());
  const uintptr_t begin = (data + kPage - 1) / kPage * kPage, end = (data + count * sizeof(T)) / kPage * kPage;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

/// A document in its place: its number, and its length beside it. Looking lengths up by shuffled numbers would be a
/// cache miss for each once more.
struct Placed {
  int32_t document, length;
};

void append_epochs(std::vector<Placed>& placed, std::span<const int32_t> lengths, int64_t first, int64_t epochs,
                   NumpyRandomState& random) {
  const size_t begin = placed.size();
  for (int64_t epoch = 0; epoch < epochs; ++epoch)
    for (size_t i = 0; i < lengths.size(); ++i)
      placed.push_back({static_cast<int32_t>(first + static_cast<int64_t>(i)), lengths[i]});
  random.shuffle(std::span(placed).subspan(begin));
}

/// Tokens before each block of documents.
std::vector<int64_t> block_starts(std::span<const Placed> placed) {
  std::vector<int64_t> starts((placed.size() + kBlock - 1) / kBlock);
  parallel_for(starts.size(), available_threads(), [&](size_t block) {
    for (const Placed& one : placed.subspan(block * kBlock, std::min(kBlock, placed.size() - block * kBlock)))
      starts[block] += one.length;
  });
  std::exclusive_scan(starts.begin(), starts.end(), starts.begin(), int64_t{0});
  return starts;
}

/// Fills `documents` and `samples`: the starts of `count` samples, and the end of the last, in documents laid end to
/// end: sample s starts at token s * seq_length, (place in `documents`, offset there). Blocks of documents are summed
/// and then cut at once.
void cut_samples(std::span<const Placed> placed, int64_t seq_length, int64_t count, SampleIndices& out) {
  const std::vector<int64_t> starts = block_starts(placed);
  reserve_huge(out.documents, placed.size());
  reserve_huge(out.samples, static_cast<size_t>(2 * (count + 1)));
  out.documents.resize(placed.size());
  out.samples.resize(static_cast<size_t>(2 * (count + 1)));
  parallel_for(starts.size(), available_threads(), [&](size_t block) {
    int64_t begin = starts[block];
    int64_t sample = std::max<int64_t>(1, (begin + seq_length - 1) / seq_length);  // sample 0 starts at (0, 0)
    int64_t next = sample * seq_length;
    const size_t block_end = std::min(placed.size(), (block + 1) * kBlock);
    for (size_t place = block * kBlock; place < block_end; ++place) {
      out.documents[place] = placed[place].document;
      const int64_t end = begin + placed[place].length;
      for (; next < end && sample <= count; ++sample, next += seq_length) {
        out.samples[static_cast<size_t>(2 * sample)] = static_cast<int64_t>(place);
        out.samples[static_cast<size_t>(2 * sample + 1)] = next - begin;
      }
      begin = end;
    }
  });
}

std::vector<int64_t> shuffle_samples(int64_t first_part, int64_t total, NumpyRandomState& random) {
  std::vector<int64_t> order;
  reserve_huge(order, static_cast<size_t>(total));
  order.resize(static_cast<size_t>(total));
  std::iota(order.begin(), order.end(), 0);
  const std::span<int64_t> all(order);
  random.shuffle(all.first(static_cast<size_t>(first_part)));
  if (first_part < total) random.shuffle(all.subspan(static_cast<size_t>(first_part)));
  return order;
}

}  // namespace

SampleIndices build_sample_indices(std::span<const int32_t> lengths, int64_t first, int64_t last, int64_t seq_length,
                                   int64_t num_samples, int64_t seed, const std::string& where) {
  NumpyRandomState random(seed);
  const auto used = lengths.subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
  const int64_t tokens = std::accumulate(used.begin(), used.end(), int64_t{0});
  if (tokens < seq_length + kExtraToken) {
    throw Error(ErrorKind::kConfig, where, "has fewer tokens than one sample",
                {.got = std::to_string(tokens), .want = std::to_string(seq_length + kExtraToken)});
  }
  const Epochs epochs = plan_epochs(tokens, seq_length, num_samples);
  std::vector<Placed> placed;
  reserve_huge(placed, used.size() * static_cast<size_t>(epochs.count));
  append_epochs(placed, used, first, epochs.separate_last ? epochs.count - 1 : epochs.count, random);
  if (epochs.separate_last) append_epochs(placed, used, first, 1, random);
  const int64_t total = (product(epochs.count, tokens) - kExtraToken) / seq_length;
  SampleIndices indices;
  // The order of the samples depends on their number alone, so that one thread can draw it while others cut.
  auto order = std::async(std::launch::async, [&] {
    indices.shuffle = shuffle_samples(epochs.separate_last ? epochs.samples_before_last : total, total, random);
  });
  cut_samples(placed, seq_length, total, indices);
  order.get();
  return indices;
}

}  // namespace rialto::data
