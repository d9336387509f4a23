// Runs of a chunk that fall into a box; short ones are read several at a time.
#include "rialto/store/box_read.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace rialto::store {
namespace {

constexpr uint64_t kLongRun = 32u << 10;     ///< bytes; read by itself
constexpr uint64_t kSpanBytes = 1u << 20;    ///< most bytes read at once for short runs
constexpr uint64_t kLargestGap = 64u << 10;  ///< bytes skipped rather than read again

}  // namespace

ChunkRuns::ChunkRuns(const Shape& chunk_at, const Shape& chunk_sizes, const Shape& box_at, const Shape& box_sizes) {
  const size_t rank = box_at.size();
  Shape lo(rank), sizes(rank);
  for (size_t axis = 0; axis < rank; ++axis) {
    lo[axis] = std::max(chunk_at[axis], box_at[axis]);
    sizes[axis] = std::min(chunk_at[axis] + chunk_sizes[axis], box_at[axis] + box_sizes[axis]) - lo[axis];
    if (sizes[axis] <= 0) return;
  }
  // An axis joins the run while every axis behind it is whole on both sides.
  size_t split = rank;
  run_ = 1;
  bool whole = true;
  while (split > 0 && whole) {
    --split;
    run_ *= static_cast<uint64_t>(sizes[split]);
    whole = sizes[split] == chunk_sizes[split] && sizes[split] == box_sizes[split];
  }
  count_ = 1;
  std::vector<uint64_t> box_stride(rank), chunk_stride(rank);
  uint64_t box = 1, chunk = 1;
  for (size_t axis = rank; axis-- > 0;) {
    box_stride[axis] = box;
    chunk_stride[axis] = chunk;
    first_.box += box * static_cast<uint64_t>(lo[axis] - box_at[axis]);
    first_.chunk += chunk * static_cast<uint64_t>(lo[axis] - chunk_at[axis]);
    box *= static_cast<uint64_t>(box_sizes[axis]);
    chunk *= static_cast<uint64_t>(chunk_sizes[axis]);
  }
  for (size_t axis = 0; axis < split; ++axis) {
    outer_.push_back(sizes[axis]);
    box_step_.push_back(box_stride[axis]);
    chunk_step_.push_back(chunk_stride[axis]);
    count_ *= static_cast<uint64_t>(sizes[axis]);
  }
}

ChunkRuns::Place ChunkRuns::place(uint64_t index) const {
  Place place = first_;
  for (size_t axis = outer_.size(); axis-- > 0;) {
    const auto size = static_cast<uint64_t>(outer_[axis]);
    place.box += index % size * box_step_[axis];
    place.chunk += index % size * chunk_step_[axis];
    index /= size;
  }
  return place;
}

void read_runs(const ChunkRuns& runs, size_t item, uint64_t begin, std::span<std::byte> out,
               const std::function<void(uint64_t, std::span<std::byte>)>& read) {
  const uint64_t end = begin + out.size() / item;
  // The first run that ends behind `begin`; runs rise, so a binary search finds it.
  uint64_t low = 0, high = runs.count();
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (runs.place(middle).box + runs.run_elements() > begin)
      high = middle;
    else
      low = middle + 1;
  }
  struct Part {
    uint64_t from, bytes, to;  ///< byte offset in the chunk, length, byte offset in `out`
  };
  std::vector<Part> parts;
  std::vector<std::byte> buffer;
  const auto flush = [&] {
    if (parts.empty()) return;
    const uint64_t from = parts.front().from, length = parts.back().from + parts.back().bytes - from;
    if (parts.size() == 1) {
      read(from, out.subspan(parts[0].to, parts[0].bytes));
    } else {
      buffer.resize(length);
      read(from, buffer);
      for (const Part& part : parts) std::memcpy(out.data() + part.to, buffer.data() + (part.from - from), part.bytes);
    }
    parts.clear();
  };
  for (uint64_t index = low; index < runs.count(); ++index) {
    const ChunkRuns::Place place = runs.place(index);
    if (place.box >= end) break;
    const uint64_t first = std::max(place.box, begin), last = std::min(place.box + runs.run_elements(), end);
    const Part part{(place.chunk + (first - place.box)) * item, (last - first) * item, (first - begin) * item};
    if (!parts.empty()) {
      const uint64_t gap = part.from - (parts.back().from + parts.back().bytes);
      if (part.bytes >= kLongRun || gap > kLargestGap || part.from + part.bytes - parts.front().from > kSpanBytes)
        flush();
    }
    parts.push_back(part);
    if (part.bytes >= kLongRun) flush();
  }
  flush();
}

}  // namespace rialto::store
