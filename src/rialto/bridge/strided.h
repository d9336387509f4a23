// A box of one row-major array against a box of another, as nested loops; and the copy that runs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rialto/base/shape.h"

namespace rialto::bridge {

/// One loop: `count` steps, each moving by a number of elements in source and destination.
struct Loop {
  int64_t count = 1, source = 0, destination = 0;
};

/// Loops over `sizes`, outermost first, in the destination's order; neighbours that run on in both arrays are joined,
/// so that the last loop is the longest contiguous run. Strides are in elements, per axis.
std::vector<Loop> make_loops(const Shape& sizes, const Shape& source_strides, const Shape& destination_strides);

/// Row-major strides of an array of this shape.
Shape strides_of(const Shape& shape);

int64_t count_of(const std::vector<Loop>& loops);
/// Elements from the first to the last that the loops touch in the source, both included.
int64_t source_span(const std::vector<Loop>& loops);

/// Calls run(source offset, destination offset) for every step of all loops but the last.
template <class Run>
void for_each_run(const std::vector<Loop>& loops, Run&& run, size_t depth = 0, int64_t source = 0,
                  int64_t destination = 0) {
  if (depth + 1 >= loops.size()) {
    run(source, destination);
    return;
  }
  const Loop& loop = loops[depth];
  for (int64_t i = 0; i < loop.count; ++i)
    for_each_run(loops, run, depth + 1, source + i * loop.source, destination + i * loop.destination);
}

/// Copies elements of `width` bytes (1, 2, 4 or 8) from `source` to `destination` along the loops.
void copy_strided(const std::vector<Loop>& loops, const std::byte* source, std::byte* destination, size_t width);

/// Cuts elements [begin, end) of a row-major array into boxes of at most `max_elements`, front to back: box(lo, hi, at)
/// with `at` the box's first element. Every box is contiguous.
template <class Visit>
void for_each_box(const Shape& view, int64_t begin, int64_t end, int64_t max_elements, Visit&& visit) {
  const Shape strides = strides_of(view);
  while (begin < end) {
    Shape lo(view.size());
    for (size_t axis = 0; axis < view.size(); ++axis) lo[axis] = begin / strides[axis] % view[axis];
    // The outermost axis along which whole slices start here, fit the range and fit the limit.
    size_t axis = 0;
    while (axis + 1 < view.size() &&
           (begin % strides[axis] != 0 || strides[axis] > end - begin || strides[axis] > max_elements))
      ++axis;
    int64_t count = view[axis] - lo[axis];
    for (const int64_t room : {end - begin, max_elements})
      if (room / strides[axis] < count) count = room / strides[axis];
    Shape hi(lo);
    for (size_t inner = axis + 1; inner < view.size(); ++inner) hi[inner] = view[inner];
    for (size_t outer = 0; outer < axis; ++outer) hi[outer] = lo[outer] + 1;
    hi[axis] = lo[axis] + count;
    visit(lo, hi, begin);
    begin += count * strides[axis];
  }
}

}  // namespace rialto::bridge
