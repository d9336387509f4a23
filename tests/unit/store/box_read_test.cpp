// Runs of a chunk inside a box, against looking at every element.
#include "rialto/store/box_read.h"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace rialto::store {
namespace {

int64_t flat(const Shape& at, const Shape& sizes) {
  int64_t index = 0;
  for (size_t axis = 0; axis < at.size(); ++axis) index = index * sizes[axis] + at[axis];
  return index;
}

bool next(Shape& at, const Shape& sizes) {
  for (size_t axis = at.size(); axis-- > 0;) {
    if (++at[axis] < sizes[axis]) return true;
    at[axis] = 0;
  }
  return false;
}

TEST(BoxRead, RandomBoxesEqualElementByElement) {
  std::mt19937 random(7);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  int met = 0;
  for (int round = 0; round < 400; ++round) {
    const size_t rank = static_cast<size_t>(below(4));
    Shape chunk_at, chunk_sizes, box_at, box_sizes;
    for (size_t axis = 0; axis < rank; ++axis) {
      chunk_at.push_back(below(4));
      chunk_sizes.push_back(1 + below(5));
      box_at.push_back(below(4));
      box_sizes.push_back(1 + below(5));
    }
    // The chunk holds 1, 2, 3...; the box starts as zeros.
    std::vector<int32_t> chunk(static_cast<size_t>(num_elements(chunk_sizes)));
    for (size_t i = 0; i < chunk.size(); ++i) chunk[i] = static_cast<int32_t>(i + 1);
    std::vector<int32_t> want(static_cast<size_t>(num_elements(box_sizes)), 0);
    Shape at(rank, 0);
    do {
      Shape in_chunk(rank);
      bool inside = true;
      for (size_t axis = 0; axis < rank; ++axis) {
        in_chunk[axis] = box_at[axis] + at[axis] - chunk_at[axis];
        inside = inside && in_chunk[axis] >= 0 && in_chunk[axis] < chunk_sizes[axis];
      }
      if (inside)
        want[static_cast<size_t>(flat(at, box_sizes))] = chunk[static_cast<size_t>(flat(in_chunk, chunk_sizes))];
    } while (next(at, box_sizes));
    const ChunkRuns runs(chunk_at, chunk_sizes, box_at, box_sizes);
    met += runs.count() > 0;
    const auto read = [&](uint64_t offset, std::span<std::byte> out) {
      ASSERT_LE(offset + out.size(), chunk.size() * 4);
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(chunk.data()) + offset, out.size());
    };
    // The whole box, and any part of it.
    const size_t begin = static_cast<size_t>(below(static_cast<int64_t>(want.size())));
    const size_t count = 1 + static_cast<size_t>(below(static_cast<int64_t>(want.size() - begin)));
    for (const auto& [first, number] : {std::pair<size_t, size_t>{0, want.size()}, {begin, count}}) {
      std::vector<int32_t> got(number, 0);
      read_runs(runs, 4, first, std::as_writable_bytes(std::span(got)), read);
      EXPECT_EQ(got, std::vector<int32_t>(want.begin() + static_cast<std::ptrdiff_t>(first),
                                          want.begin() + static_cast<std::ptrdiff_t>(first + number)));
    }
  }
  EXPECT_GT(met, 100);
}

TEST(BoxRead, WholeRowsAreOneRun) {
  const ChunkRuns runs({2, 0, 0}, {1, 10, 8}, {2, 0, 0}, {1, 20, 8});
  EXPECT_EQ(runs.count(), 1u);
  EXPECT_EQ(runs.run_elements(), 80u);
}

TEST(BoxRead, ShortRunsAreReadTogether) {
  // Columns 0..3 of 1000 rows of 8: far fewer reads than rows.
  const ChunkRuns runs({0, 0}, {1000, 8}, {0, 0}, {1000, 4});
  std::vector<std::byte> out(4000 * 4);
  int reads = 0;
  read_runs(runs, 4, 0, out, [&](uint64_t, std::span<std::byte>) { ++reads; });
  EXPECT_LT(reads, 5);
}

}  // namespace
}  // namespace rialto::store
