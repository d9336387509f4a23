// Nested strided loops, joined where possible, and their copy kernel.
#include "rialto/bridge/strided.h"

#include <cstring>

namespace rialto::bridge {
namespace {

/// The last loop, one element at a time.
template <class Element>
void copy_elements(const Loop& loop, const std::byte* source, std::byte* destination) {
  for (int64_t i = 0; i < loop.count; ++i)
    std::memcpy(destination + static_cast<size_t>(i * loop.destination) * sizeof(Element),
                source + static_cast<size_t>(i * loop.source) * sizeof(Element), sizeof(Element));
}

}  // namespace

Shape strides_of(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

std::vector<Loop> make_loops(const Shape& sizes, const Shape& source_strides, const Shape& destination_strides) {
  std::vector<Loop> loops;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] == 1) continue;
    const Loop loop{sizes[axis], source_strides[axis], destination_strides[axis]};
    if (!loops.empty() && loops.back().source == loop.count * loop.source &&
        loops.back().destination == loop.count * loop.destination)
      loops.back() = {loops.back().count * loop.count, loop.source, loop.destination};
    else
      loops.push_back(loop);
  }
  if (loops.empty()) loops.push_back({1, 1, 1});
  return loops;
}

int64_t count_of(const std::vector<Loop>& loops) {
  int64_t count = 1;
  for (const Loop& loop : loops) count *= loop.count;
  return count;
}

int64_t source_span(const std::vector<Loop>& loops) {
  int64_t span = 1;
  for (const Loop& loop : loops) span += (loop.count - 1) * loop.source;
  return span;
}

void copy_strided(const std::vector<Loop>& loops, const std::byte* source, std::byte* destination, size_t width) {
  const Loop& last = loops.back();
  for_each_run(loops, [&](int64_t from, int64_t to) {
    const std::byte* run_source = source + static_cast<size_t>(from) * width;
    std::byte* run_destination = destination + static_cast<size_t>(to) * width;
    if (last.source == 1 && last.destination == 1) {
      std::memcpy(run_destination, run_source, static_cast<size_t>(last.count) * width);
      return;
    }
    switch (width) {
      case 1:
        return copy_elements<uint8_t>(last, run_source, run_destination);
      case 2:
        return copy_elements<uint16_t>(last, run_source, run_destination);
      case 4:
        return copy_elements<uint32_t>(last, run_source, run_destination);
      default:
        return copy_elements<uint64_t>(last, run_source, run_destination);
    }
  });
}

}  // namespace rialto::bridge
