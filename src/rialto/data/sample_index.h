// Megatron's three indices as pure functions. Source: megatron/core/datasets/gpt_dataset.py and helpers.cpp (0.16.1).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rialto::data {

struct SampleIndices {
  std::vector<int32_t> documents;  ///< document numbers, epoch after epoch, shuffled
  std::vector<int64_t> samples;    ///< pairs (place in `documents`, token offset there); one pair more than samples
  std::vector<int64_t> shuffle;    ///< order in which samples are given out
};

/// `lengths`: tokens of every document of the dataset; the documents [first, last) are used. num_samples 0: one epoch.
/// Throws kConfig when an epoch has fewer tokens than one sample, or the seed is outside numpy's range; `where` is
/// what its line names.
SampleIndices build_sample_indices(std::span<const int32_t> lengths, int64_t first, int64_t last, int64_t seq_length,
                                   int64_t num_samples, int64_t seed, const std::string& where = "dataset");

}  // namespace rialto::data
