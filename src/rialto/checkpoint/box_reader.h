// Fills a rank's box of a tensor from something that can be read by element range, through one small buffer.
#pragma once

#include <functional>
#include <span>

#include "rialto/base/dtype.h"
#include "rialto/base/shape.h"
#include "rialto/spec/param.h"

namespace rialto::checkpoint {

/// A tensor of known size that is read by ranges of its row-major elements.
struct ElementSource {
  DType dtype = DType::kF32;
  int64_t num_elements = 0;
  /// Elements [begin, begin + out.size() / size_of(dtype)) into `out`.
  std::function<void(int64_t begin, std::span<std::byte> out)> read;
};

/// Writes the box (of `view`) row-major to `out`, cast from the source's dtype to `to`. Needs memory for one buffer of
/// `buffer_bytes`, whatever the tensor's size. Returns how many values the cast changed.
/// Throws kShape when view and source differ in size, or `out` is not the box's size.
uint64_t read_box(const ElementSource& source, const Shape& view, const spec::Extent& box, DType to,
                  std::span<std::byte> out, size_t buffer_bytes = size_t{4} << 20);

}  // namespace rialto::checkpoint
