// Megatron's split strings.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rialto::data {

/// Ranges [first, last) of the train, validation and test splits of "9999,8,2", as Megatron rounds them, of
/// `num_sequences` sequences; missing parts are empty. Throws kConfig for anything but one to three non-negative
/// numbers that are not all 0.
std::vector<std::pair<int64_t, int64_t>> split_sequences(const std::string& split, int64_t num_sequences);

}  // namespace rialto::data
