// Shapes and extents: plain lists of sizes, slowest axis first (row-major everywhere).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rialto {

using Shape = std::vector<int64_t>;

/// Product of the sizes; 1 for a scalar. Throws kShape on a negative size or overflow of int64.
int64_t num_elements(const Shape& shape);
/// "(4, 64, 128)".
std::string to_text(const Shape& shape);

}  // namespace rialto
