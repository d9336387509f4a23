// Contiguous runs of a box, read directly when long and through a window when short.
#include "rialto/checkpoint/box_reader.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/number.h"

namespace rialto::checkpoint {
namespace {

/// Calls body(first element in the view, length) for every contiguous run of the box, in row-major order.
void for_each_run(const Shape& view, const spec::Extent& box, const std::function<void(int64_t, int64_t)>& body) {
  const size_t rank = view.size();
  // Trailing axes that the box covers whole belong to the run, and so does the first axis that it does not.
  size_t axis = rank;
  int64_t inner = 1;
  while (axis > 0 && box.lo[axis - 1] == 0 && box.hi[axis - 1] == view[axis - 1]) inner *= view[--axis];
  Shape strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * view[i];
  int64_t length = inner;
  size_t outer = axis;  // axes [0, outer) are walked one by one
  if (axis > 0) {
    outer = axis - 1;
    length = inner * (box.hi[outer] - box.lo[outer]);
  }
  if (length == 0) return;
  for (size_t i = 0; i < outer; ++i) {
    if (box.hi[i] <= box.lo[i]) return;
  }
  Shape index(box.lo.begin(), box.lo.begin() + static_cast<ptrdiff_t>(outer));
  while (true) {
    int64_t first = axis > 0 ? box.lo[outer] * strides[outer] : 0;
    for (size_t i = 0; i < outer; ++i) first += index[i] * strides[i];
    body(first, length);
    size_t i = outer;
    while (i > 0 && ++index[i - 1] == box.hi[i - 1]) {
      index[i - 1] = box.lo[i - 1];
      --i;
    }
    if (i == 0) return;
  }
}

}  // namespace

uint64_t read_box(const ElementSource& source, const Shape& view, const spec::Extent& box, DType to,
                  std::span<std::byte> out, size_t buffer_bytes) {
  const size_t from_size = size_of(source.dtype), to_size = size_of(to);
  const int64_t wanted = num_elements(box.sizes());
  if (num_elements(view) != source.num_elements || box.lo.size() != view.size()) {
    throw Error(ErrorKind::kShape, "box", "the tensor does not have the view's size",
                {.got = std::to_string(source.num_elements), .want = to_text(view), .hint = {}});
  }
  if (static_cast<size_t>(wanted) * to_size != out.size()) {
    throw Error(ErrorKind::kShape, "box", "the destination is not the box's size",
                {.got = fmt::format("{} bytes", out.size()), .want = to_text(box.sizes()), .hint = {}});
  }
  const int64_t window_size = std::max<int64_t>(1, static_cast<int64_t>(buffer_bytes / from_size));
  std::vector<std::byte> window(std::min(buffer_bytes, static_cast<size_t>(source.num_elements) * from_size));
  int64_t window_begin = 0, window_end = 0;
  uint64_t rounded = 0;
  int64_t written = 0;
  for_each_run(view, box, [&](int64_t first, int64_t length) {
    while (length > 0) {
      if (first < window_begin || first >= window_end) {
        window_begin = first;
        window_end = std::min(source.num_elements, first + window_size);
        // A run as long as the window is read exactly; short runs share one read with their neighbours.
        if (length >= window_size / 4) window_end = std::min(window_end, first + length);
        source.read(window_begin, std::span(window).first(static_cast<size_t>(window_end - window_begin) * from_size));
      }
      const int64_t part = std::min(length, window_end - first);
      rounded += cast_elements(window.data() + static_cast<size_t>(first - window_begin) * from_size, source.dtype,
                               out.data() + static_cast<size_t>(written) * to_size, to, static_cast<size_t>(part));
      first += part;
      length -= part;
      written += part;
    }
  });
  return rounded;
}

}  // namespace rialto::checkpoint
