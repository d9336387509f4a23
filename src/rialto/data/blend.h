// Which token files are mixed, and by which weights.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::data {

/// Megatron's blend: prefixes of .bin/.idx pairs and, unless each is to give all its samples, a weight for each.
struct Blend {
  std::vector<std::string> prefixes;
  std::optional<std::vector<double>> weights;
};

/// ["30", "a", "70", "b"] is weights and prefixes, ["a", "b"] prefixes alone. Throws kConfig, with `where`, for no
/// word, for words that are neither and for a weight that is not a positive number. Source:
/// megatron/core/datasets/utils.py, get_blend_from_list.
Blend blend_of(const std::vector<std::string>& words, const std::string& where);

/// The words of a file, between white space: Megatron's --data-args-path.
std::vector<std::string> blend_words(const fs::path& path);

/// Words of the train, valid and test blends (empty: none) in a JSON file with these keys, each a text or a list of
/// texts: Megatron's --per-split-data-args-path. Throws kInput.
std::array<std::vector<std::string>, 3> blend_words_per_split(const fs::path& path);

/// weights / sum, the sum in NumPy's order of additions. Source: megatron/core/datasets/utils.py, normalize.
std::vector<double> normalized(const std::vector<double>& weights);

/// How many samples a source of this (normalized) weight gives to `num_samples`, and with a surplus, how many are built
/// for it. Source: blended_megatron_dataset_builder.py, _get_size_per_split_per_dataset.
int64_t samples_for(double weight, int64_t num_samples, double surplus);

}  // namespace rialto::data
