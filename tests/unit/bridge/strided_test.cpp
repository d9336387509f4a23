// Loops, boxes and the strided copy against element-by-element references.
#include "rialto/bridge/strided.h"

#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace rialto::bridge {
namespace {

TEST(Strided, NeighboursThatRunOnAreJoined) {
  const Shape sizes = {3, 4, 5};
  EXPECT_EQ(make_loops(sizes, strides_of(sizes), strides_of(sizes)).size(), 1u);
  EXPECT_EQ(make_loops(sizes, strides_of({3, 6, 5}), strides_of(sizes)).size(), 2u);
  EXPECT_EQ(make_loops({1, 1}, {7, 1}, {1, 1}).size(), 1u);
  EXPECT_EQ(source_span(make_loops(sizes, strides_of({3, 6, 5}), strides_of(sizes))), 2 * 30 + 20);
}

TEST(Strided, BoxesOfARangeAreContiguousAndInOrder) {
  std::mt19937 random(3);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int round = 0; round < 2000; ++round) {
    Shape view(static_cast<size_t>(draw(1, 4)));
    for (int64_t& size : view) size = draw(1, 5);
    const int64_t total = num_elements(view), begin = draw(0, total), end = draw(begin, total),
                  most = draw(1, total + 2);
    int64_t next = begin;
    for_each_box(view, begin, end, most, [&](const Shape& lo, const Shape& hi, int64_t at) {
      EXPECT_EQ(at, next);
      Shape sizes(view.size());
      const Shape strides = strides_of(view);
      int64_t first = 0, last = 0;
      for (size_t axis = 0; axis < view.size(); ++axis) {
        ASSERT_TRUE(0 <= lo[axis] && lo[axis] < hi[axis] && hi[axis] <= view[axis]);
        sizes[axis] = hi[axis] - lo[axis];
        first += lo[axis] * strides[axis];
        last += (hi[axis] - 1) * strides[axis];
      }
      EXPECT_EQ(first, at);
      EXPECT_EQ(last - first + 1, num_elements(sizes));
      EXPECT_LE(num_elements(sizes), most);
      next += num_elements(sizes);
    });
    EXPECT_EQ(next, end);
  }
}

TEST(Strided, CopyPermutesAnyWidth) {
  const Shape sizes = {3, 4, 5};  // destination order; the source is [5, 3, 4]
  const Shape source_strides = {4, 1, 12}, destination_strides = strides_of(sizes);
  const std::vector<Loop> loops = make_loops(sizes, source_strides, destination_strides);
  for (const size_t width : {1u, 2u, 4u, 8u}) {
    std::vector<std::byte> source(60 * width), out(60 * width);
    for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::byte>(i * 7 + i / 251);
    copy_strided(loops, source.data(), out.data(), width);
    for (size_t a = 0; a < 3; ++a)
      for (size_t b = 0; b < 4; ++b)
        for (size_t c = 0; c < 5; ++c)
          for (size_t byte = 0; byte < width; ++byte)
            ASSERT_EQ(out[((a * 4 + b) * 5 + c) * width + byte], source[(c * 12 + a * 4 + b) * width + byte]);
  }
}

}  // namespace
}  // namespace rialto::bridge
