// A box of a global tensor, joined from the chunks that hold it.
#pragma once

#include <functional>
#include <span>

#include "rialto/base/shape.h"

namespace rialto::store {

/// The overlap of a chunk with the box that is wanted, as runs of elements that are contiguous in both.
class ChunkRuns {
 public:
  /// All in the global tensor's coordinates.
  ChunkRuns(const Shape& chunk_at, const Shape& chunk_sizes, const Shape& box_at, const Shape& box_sizes);
  /// Runs, in rising order of both places; 0 when chunk and box do not meet.
  uint64_t count() const { return count_; }
  uint64_t run_elements() const { return run_; }
  /// Where run `index` starts, in elements, row-major inside the box and inside the chunk.
  struct Place {
    uint64_t box = 0, chunk = 0;
  };
  Place place(uint64_t index) const;

 private:
  Shape outer_;                                  ///< sizes of the axes that enumerate runs
  std::vector<uint64_t> box_step_, chunk_step_;  ///< strides of those axes
  Place first_;
  uint64_t count_ = 0, run_ = 0;
};

/// Reads elements [begin, begin + out.size() / item) of the box that lie in this chunk into their places of `out`;
/// `read(byte offset in the chunk, bytes)` fetches stored bytes.
void read_runs(const ChunkRuns& runs, size_t item, uint64_t begin, std::span<std::byte> out,
               const std::function<void(uint64_t, std::span<std::byte>)>& read);

}  // namespace rialto::store
