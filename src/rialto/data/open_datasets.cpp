// Blends and splits of a run. Source: megatron/core/datasets/blended_megatron_dataset_builder.py.
#include "rialto/data/open_datasets.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/data/blended_dataset.h"
#include "rialto/data/split.h"

namespace rialto::data {
namespace {

constexpr std::array<const char*, 3> kPartNames{"training", "evaluation", "testing"};
constexpr std::array<const char*, 3> kPathKeys{"dataset.train_data_path", "dataset.valid_data_path",
                                               "dataset.test_data_path"};

size_t number(Part part) { return static_cast<size_t>(part); }

}  // namespace

DatasetOpener::DatasetOpener(const config::DatasetSection& section, OpenOptions options)
    : section_(section), options_(std::move(options)) {
  if (!section.dataset_root.empty() || !section.packed_train_data_path.empty()) {
    sft_.emplace(section, OpenSftOptions{.seq_length = options_.seq_length,
                                         .tokenizer = options_.tokenizer,
                                         .eod_token = options_.eod_token,
                                         .cache = {section.path_to_cache, options_.ops},
                                         .progress = options_.progress});
    return;
  }
  if (!section.per_split_data_args_path.empty()) {
    per_part_ = true;
    words_ = blend_words_per_split(section.per_split_data_args_path);
    return;
  }
  per_part_ = !section.train_data_path.empty() || !section.valid_data_path.empty() || !section.test_data_path.empty();
  words_ = {section.train_data_path, section.valid_data_path, section.test_data_path};
  if (!section.data_path.empty()) words_[0] = section.data_path;
  if (!section.data_args_path.empty()) words_[0] = blend_words(section.data_args_path);
}

const std::vector<std::string>& DatasetOpener::words(Part part) const { return words_[per_part_ ? number(part) : 0]; }

Blend DatasetOpener::blend(Part part) const {
  return blend_of(words(part), per_part_ ? kPathKeys[number(part)] : "dataset.data_path");
}

const Tokens& DatasetOpener::tokens(const std::string& prefix) {
  Tokens& opened = opened_[prefix];
  if (!opened) opened = std::make_shared<const formats::IndexedDataset>(prefix);
  return opened;
}

std::pair<int64_t, int64_t> DatasetOpener::range(const std::string& prefix, Part part) {
  const int64_t sequences = tokens(prefix)->num_sequences();
  return per_part_ ? std::pair<int64_t, int64_t>{0, sequences}
                   : split_sequences(section_.split, sequences)[number(part)];
}

bool DatasetOpener::has(Part part) {
  if (sft_) return sft_->has(part);
  if (words(part).empty()) return false;
  return std::ranges::any_of(blend(part).prefixes, [&](const std::string& prefix) {
    const auto [first, last] = range(prefix, part);
    return first < last;
  });
}

std::unique_ptr<Dataset> DatasetOpener::open(Part part, int64_t num_samples) {
  if (sft_) return sft_->open(part, num_samples);
  const Blend blend = this->blend(part);
  if (blend.prefixes.size() == 1 && (!blend.weights || per_part_))
    return open_source(blend.prefixes.front(), part, num_samples);
  if (blend.weights && num_samples == 0)
    throw Error(ErrorKind::kConfig, "dataset.data_path", "a blend by weight has no epochs",
                {.got = "weights",
                 .want = fmt::format("a number of samples for {}", kPartNames[number(part)]),
                 .hint = "leave the weights out, or set train.train_iters or validation.eval_iters"});
  const IndexCache cache{section_.path_to_cache, options_.ops};
  std::vector<std::unique_ptr<Dataset>> sources;
  if (blend.weights) {
    const std::vector<double> shares = normalized(*blend.weights);
    int64_t total = 0;
    for (size_t i = 0; i < shares.size(); ++i) {
      total += samples_for(shares[i], num_samples, 0);
      const int64_t built = samples_for(shares[i], num_samples, section_.mid_level_dataset_surplus);
      sources.push_back(open_source(blend.prefixes[i], part, built));
    }
    return std::make_unique<BlendedDataset>(std::move(sources), shares, total, cache);
  }
  std::vector<double> sizes;
  for (const std::string& prefix : blend.prefixes) {
    sources.push_back(open_source(prefix, part, 0));
    sizes.push_back(static_cast<double>(sources.back()->size()));
  }
  if (num_samples == 0) return std::make_unique<BlendedDataset>(std::move(sources), cache);
  const double all = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  if (all < static_cast<double>(num_samples))
    throw Error(ErrorKind::kConfig, "dataset.data_path",
                fmt::format("a blend without weights gives each sample once, too few for {}", kPartNames[number(part)]),
                {.got = fmt::format("{} samples", all),
                 .want = fmt::format("at least {}", num_samples),
                 .hint = "give a weight before each prefix"});
  return std::make_unique<BlendedDataset>(std::move(sources), sizes, num_samples, cache);
}

std::unique_ptr<Dataset> DatasetOpener::open_source(const std::string& prefix, Part part, int64_t num_samples) {
  GptDatasetOptions options;
  options.prefix = prefix;
  options.seq_length = options_.seq_length;
  options.num_samples = num_samples;
  options.seed = section_.random_seed;
  options.eod_token = options_.eod_token;
  options.eod_mask_loss = section_.eod_mask_loss;
  options.reset_position_ids = section_.reset_position_ids;
  options.reset_attention_mask = section_.reset_attention_mask;
  options.cache = {section_.path_to_cache, options_.ops};
  std::tie(options.first_document, options.last_document) = range(prefix, part);
  if (options.first_document >= options.last_document && !per_part_)
    throw Error(
        ErrorKind::kConfig, "dataset.split",
        fmt::format("leaves no document of {} for {}", prefix, kPartNames[number(part)]),
        {.got = section_.split, .want = {}, .hint = fmt::format("set {}, or another split", kPathKeys[number(part)])});
  return std::make_unique<GptDataset>(options, tokens(prefix));
}

}  // namespace rialto::data
