// Samples of a token file by number.
#include "rialto/data/gpt_dataset.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/json.h"
#include "rialto/data/sample_index.h"

namespace rialto::data {

namespace {

/// Everything that the indices depend on. Lengths stand in it by their hash: an index is never used for other data,
/// whatever the files are called.
std::string key_of(const GptDatasetOptions& options, int64_t last, std::span<const int32_t> lengths) {
  return Json{{"index", "GPTDataset"},
              {"lengths", hash_hex(std::as_bytes(lengths))},
              {"sequences", lengths.size()},
              {"first", options.first_document},
              {"last", last},
              {"seq_length", options.seq_length},
              {"num_samples", options.num_samples},
              {"seed", options.seed}}
      .dump();
}

}  // namespace

struct GptDataset::Impl {
  GptDatasetOptions options;
  Tokens tokens;
  HeldArrays held;
  std::span<const int32_t> documents;
  std::span<const int64_t> samples, shuffle;
  int64_t tokens_per_epoch = 0;

  Impl(const GptDatasetOptions& given, Tokens opened) : options(given), tokens(std::move(opened)) {
    const std::string where = options.prefix.string();
    const int64_t count = tokens->num_sequences();
    const int64_t last = options.last_document < 0 ? count : options.last_document;
    if (options.seq_length < 1 || options.num_samples < 0) {
      throw Error(ErrorKind::kConfig, where, "needs a sequence length of at least 1 and no negative number of samples");
    }
    if (options.first_document < 0 || options.first_document > last || last > count ||
        count > std::numeric_limits<int32_t>::max()) {
      throw Error(ErrorKind::kConfig, where, "does not have these documents",
                  {.got = std::to_string(options.first_document) + " to " + std::to_string(last),
                   .want = "inside 0 to " + std::to_string(count)});
    }
    if (!options.eod_token && (options.eod_mask_loss || options.reset_position_ids || options.reset_attention_mask)) {
      throw Error(ErrorKind::kConfig, where, "needs the end-of-text token's id for masks and positions by document");
    }
    const auto lengths = tokens->lengths();
    const auto used = lengths.subspan(static_cast<size_t>(options.first_document),
                                      static_cast<size_t>(last - options.first_document));
    tokens_per_epoch = std::accumulate(used.begin(), used.end(), int64_t{0});
    held = cached_arrays(options.cache, options.prefix.filename().string(), key_of(options, last, lengths), [&] {
      return hold(build_sample_indices(lengths, options.first_document, last, options.seq_length, options.num_samples,
                                       options.seed, where),
                  [](const SampleIndices& built) {
                    return Arrays{std::as_bytes(std::span(built.documents)), std::as_bytes(std::span(built.samples)),
                                  std::as_bytes(std::span(built.shuffle))};
                  });
    });
    documents = as_array<int32_t>(held.arrays.at(0));
    samples = as_array<int64_t>(held.arrays.at(1));
    shuffle = as_array<int64_t>(held.arrays.at(2));
  }

  /// The place in `samples` of the sample that is given out under this number.
  size_t sample_of(int64_t index) const {
    const auto size = static_cast<int64_t>(shuffle.size());
    if (index < 0 || index >= size) {
      throw Error(ErrorKind::kInternal, options.prefix.string(), "has no such sample",
                  {.got = std::to_string(index), .want = "below " + std::to_string(size)});
    }
    return static_cast<size_t>(shuffle[static_cast<size_t>(index)]);
  }

  /// seq_length + 1 tokens from the sample's start, across documents.
  std::vector<int32_t> read(size_t sample) const {
    std::vector<int32_t> out(static_cast<size_t>(options.seq_length) + 1);
    std::span<int32_t> rest(out);
    auto place = static_cast<size_t>(samples[2 * sample]);
    int64_t offset = samples[2 * sample + 1];
    for (; !rest.empty(); ++place, offset = 0) {
      const int32_t document = documents[place];
      const int64_t length = tokens->lengths()[static_cast<size_t>(document)] - offset;
      const auto count = std::min(rest.size(), static_cast<size_t>(length));
      if (count > 0) tokens->read(document, offset, rest.first(count));
      rest = rest.subspan(count);
    }
    return out;
  }

  /// Everything after an end-of-text token belongs to the next document. Source: gpt_dataset.py,
  /// _get_ltor_masks_and_position_ids.
  void mark_documents(Sample& sample) const {
    int32_t document = 0, position = 0;
    for (size_t i = 0; i < sample.tokens.size(); ++i) {
      sample.positions[i] = position++;
      sample.documents[i] = document;
      if (!options.eod_token || sample.tokens[i] != *options.eod_token) continue;
      if (options.eod_mask_loss) sample.loss_weights[i] = 0;
      if (options.reset_position_ids) position = 0;
      if (options.reset_attention_mask) ++document;
    }
  }
};

GptDataset::GptDataset(const GptDatasetOptions& options)
    : GptDataset(options, std::make_shared<const formats::IndexedDataset>(options.prefix)) {}
GptDataset::GptDataset(const GptDatasetOptions& options, Tokens tokens)
    : impl_(std::make_unique<Impl>(options, std::move(tokens))) {}
GptDataset::~GptDataset() = default;

int64_t GptDataset::size() const { return static_cast<int64_t>(impl_->shuffle.size()); }

std::vector<Consumed> GptDataset::consumed(int64_t count) const {
  if (count < 0 || count > size())
    throw Error(ErrorKind::kInternal, impl_->options.prefix.string(), "has fewer samples",
                {.got = std::to_string(count), .want = "at most " + std::to_string(size())});
  const int64_t tokens = count * impl_->options.seq_length;
  return {{impl_->options.prefix.string(), count, tokens,
           static_cast<double>(tokens) / static_cast<double>(impl_->tokens_per_epoch)}};
}

SampleStart GptDataset::start(int64_t index) const {
  const size_t sample = impl_->sample_of(index);
  const auto place = static_cast<size_t>(impl_->samples[2 * sample]);
  return {.document = impl_->documents[place], .offset = impl_->samples[2 * sample + 1]};
}

Sample GptDataset::get(int64_t index) const {
  const std::vector<int32_t> text = impl_->read(impl_->sample_of(index));
  Sample sample;
  sample.tokens.assign(text.begin(), text.end() - 1);
  sample.labels.assign(text.begin() + 1, text.end());
  sample.loss_weights.assign(sample.tokens.size(), 1.0f);
  sample.positions.resize(sample.tokens.size());
  sample.documents.resize(sample.tokens.size());
  impl_->mark_documents(sample);
  return sample;
}

std::span<const int32_t> GptDataset::document_index() const { return impl_->documents; }
std::span<const int64_t> GptDataset::sample_index() const { return impl_->samples; }
std::span<const int64_t> GptDataset::shuffle_index() const { return impl_->shuffle; }

}  // namespace rialto::data
