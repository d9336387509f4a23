// A blend is two arrays: the source of each sample, and its number there.
#include "rialto/data/blended_dataset.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/data/blend.h"
#include "rialto/data/blending_index.h"

namespace rialto::data {
namespace {

constexpr const char* kName = "blend";

HeldArrays held(BlendingIndex index) {
  return hold(std::move(index), [](const BlendingIndex& built) {
    return Arrays{std::as_bytes(std::span(built.sources)), std::as_bytes(std::span(built.samples))};
  });
}

void check_count(const std::vector<std::unique_ptr<Dataset>>& sources) {
  constexpr size_t kMost = std::numeric_limits<int16_t>::max() - 1;
  if (sources.empty() || sources.size() > kMost)
    throw Error(ErrorKind::kConfig, kName, "a blend of too few or too many sources",
                {.got = std::to_string(sources.size()), .want = fmt::format("1 to {}", kMost)});
}

}  // namespace

BlendedDataset::BlendedDataset(std::vector<std::unique_ptr<Dataset>> sources, const std::vector<double>& weights,
                               int64_t size, const IndexCache& cache)
    : datasets_(std::move(sources)) {
  check_count(datasets_);
  const std::vector<double> shares = normalized(weights);
  Json key{{"index", "blend by weight"}, {"size", size}, {"weights", shares}};
  open(cached_arrays(cache, kName, key.dump(), [&] { return held(blend_by_weight(shares, size)); }));
}

BlendedDataset::BlendedDataset(std::vector<std::unique_ptr<Dataset>> sources, const IndexCache& cache)
    : datasets_(std::move(sources)) {
  check_count(datasets_);
  std::vector<int64_t> sizes;
  for (const auto& dataset : datasets_) sizes.push_back(dataset->size());
  Json key{{"index", "blend of everything"}, {"sizes", sizes}};
  open(cached_arrays(cache, kName, key.dump(), [&] { return held(blend_everything(sizes)); }));
}

void BlendedDataset::open(HeldArrays held) {
  held_ = std::move(held);
  sources_ = as_array<int16_t>(held_.arrays.at(0));
  samples_ = as_array<int64_t>(held_.arrays.at(1));
  const std::vector<int64_t> needed = counts(size());
  for (size_t i = 0; i < datasets_.size(); ++i) {
    if (needed[i] <= datasets_[i]->size()) continue;
    throw Error(ErrorKind::kConfig, datasets_[i]->consumed(0).front().source,
                "the blend asks for more samples than it has",
                {.got = std::to_string(needed[i]),
                 .want = fmt::format("at most {}", datasets_[i]->size()),
                 .hint = "raise dataset.mid_level_dataset_surplus"});
  }
}

std::vector<int64_t> BlendedDataset::counts(int64_t count) const {
  std::vector<int64_t> out(datasets_.size());
  for (const int16_t source : sources_.first(static_cast<size_t>(count))) ++out[static_cast<size_t>(source)];
  return out;
}

size_t BlendedDataset::checked(int64_t index) const {
  if (index < 0 || index >= size())
    throw Error(ErrorKind::kInternal, kName, "has no such sample",
                {.got = std::to_string(index), .want = fmt::format("below {}", size())});
  return static_cast<size_t>(index);
}

Sample BlendedDataset::get(int64_t index) const {
  const size_t at = checked(index);
  return datasets_[static_cast<size_t>(sources_[at])]->get(samples_[at]);
}

SampleStart BlendedDataset::start(int64_t index) const {
  const size_t at = checked(index);
  SampleStart start = datasets_[static_cast<size_t>(sources_[at])]->start(samples_[at]);
  start.source = sources_[at];
  return start;
}

std::vector<Consumed> BlendedDataset::consumed(int64_t count) const {
  if (count < 0 || count > size())
    throw Error(ErrorKind::kInternal, kName, "has fewer samples",
                {.got = std::to_string(count), .want = fmt::format("at most {}", size())});
  std::vector<Consumed> out;
  const std::vector<int64_t> taken = counts(count);
  for (size_t i = 0; i < datasets_.size(); ++i) out.push_back(datasets_[i]->consumed(taken[i]).front());
  return out;
}

}  // namespace rialto::data
