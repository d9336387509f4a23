// Samples of a token file by number.
#include <algorithm>
#include <limits>
#include <numeric>

#include "rialto/base/error.h"
#include "rialto/data/dataset.h"
#include "rialto/data/sample_index.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::data {

struct GptDataset::Impl {
  GptDatasetOptions options;
  formats::IndexedDataset tokens;
  SampleIndices indices;

  explicit Impl(const GptDatasetOptions& given) : options(given), tokens(given.prefix) {
    const std::string where = options.prefix.string();
    const int64_t documents = tokens.num_sequences();
    const int64_t last = options.last_document < 0 ? documents : options.last_document;
    if (options.seq_length < 1 || options.num_samples < 0) {
      throw Error(ErrorKind::kConfig, where, "needs a sequence length of at least 1 and no negative number of samples");
    }
    if (options.first_document < 0 || options.first_document > last || last > documents ||
        documents > std::numeric_limits<int32_t>::max()) {
      throw Error(ErrorKind::kConfig, where, "does not have these documents",
                  {.got = std::to_string(options.first_document) + " to " + std::to_string(last),
                   .want = "inside 0 to " + std::to_string(documents)});
    }
    if (!options.eod_token && (options.eod_mask_loss || options.reset_position_ids || options.reset_attention_mask)) {
      throw Error(ErrorKind::kConfig, where, "needs the end-of-text token's id for masks and positions by document");
    }
    indices = build_sample_indices(tokens.lengths(), options.first_document, last, options.seq_length,
                                   options.num_samples, options.seed);
  }

  /// seq_length + 1 tokens from the sample's start, across documents.
  std::vector<int32_t> read(size_t sample) const {
    std::vector<int32_t> out(static_cast<size_t>(options.seq_length) + 1);
    std::span<int32_t> rest(out);
    auto place = static_cast<size_t>(indices.samples[2 * sample]);
    int64_t offset = indices.samples[2 * sample + 1];
    for (; !rest.empty(); ++place, offset = 0) {
      const int32_t document = indices.documents[place];
      const int64_t length = tokens.lengths()[static_cast<size_t>(document)] - offset;
      const auto count = std::min(rest.size(), static_cast<size_t>(length));
      if (count > 0) tokens.read(document, offset, rest.first(count));
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

GptDataset::GptDataset(const GptDatasetOptions& options) : impl_(std::make_unique<Impl>(options)) {}
GptDataset::~GptDataset() = default;
GptDataset::GptDataset(GptDataset&&) noexcept = default;

int64_t GptDataset::size() const { return static_cast<int64_t>(impl_->indices.shuffle.size()); }

Sample GptDataset::get(int64_t index) const {
  if (index < 0 || index >= size()) {
    throw Error(ErrorKind::kInternal, impl_->options.prefix.string(), "has no such sample",
                {.got = std::to_string(index), .want = "below " + std::to_string(size())});
  }
  const std::vector<int32_t> text =
      impl_->read(static_cast<size_t>(impl_->indices.shuffle[static_cast<size_t>(index)]));
  Sample sample;
  sample.tokens.assign(text.begin(), text.end() - 1);
  sample.labels.assign(text.begin() + 1, text.end());
  sample.loss_weights.assign(sample.tokens.size(), 1.0f);
  sample.positions.resize(sample.tokens.size());
  sample.documents.resize(sample.tokens.size());
  impl_->mark_documents(sample);
  return sample;
}

std::span<const int32_t> GptDataset::document_index() const { return impl_->indices.documents; }
std::span<const int64_t> GptDataset::sample_index() const { return impl_->indices.samples; }
std::span<const int64_t> GptDataset::shuffle_index() const { return impl_->indices.shuffle; }

}  // namespace rialto::data
