// Blocks cover every byte once, in order.
#include <gtest/gtest.h>

#include "rialto/base/blocks.h"

namespace rialto {
namespace {

TEST(Blocks, EveryByteOnceInOrder) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{4u << 20}, uint64_t{(9u << 20) + 3}}) {
    uint64_t done = 0, blocks = 0;
    for_each_block(
        size,
        [&](uint64_t at, std::span<std::byte> out) {
          EXPECT_EQ(at, done);
          out.front() = static_cast<std::byte>(blocks);
        },
        [&](std::span<const std::byte> part) {
          EXPECT_EQ(part.front(), static_cast<std::byte>(blocks++));
          EXPECT_LE(part.size(), 4u << 20);
          done += part.size();
        });
    EXPECT_EQ(done, size);
    EXPECT_EQ(blocks, (size + (4u << 20) - 1) / (4u << 20));
  }
}

}  // namespace
}  // namespace rialto
