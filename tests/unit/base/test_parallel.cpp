// The parallel loop.
#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "rialto/base/parallel.h"

namespace rialto {
namespace {

TEST(Parallel, EveryIndexOnce) {
  for (const size_t threads : {0u, 1u, 3u, 64u}) {
    std::vector<std::atomic<int>> seen(1000);
    parallel_for(seen.size(), threads, [&](size_t i) { ++seen[i]; });
    for (const auto& count : seen) ASSERT_EQ(count, 1);
  }
  parallel_for(0, 4, [](size_t) { FAIL(); });
}

TEST(Parallel, FirstExceptionComesBackAfterAllStopped) {
  std::atomic<int> running{0};
  EXPECT_THROW(parallel_for(1000, 4,
                            [&](size_t i) {
                              ++running;
                              if (i == 5) {
                                --running;
                                throw std::runtime_error("five");
                              }
                              --running;
                            }),
               std::runtime_error);
  EXPECT_EQ(running, 0);
}

TEST(Parallel, AtLeastOneThread) { EXPECT_GE(available_threads(), 1u); }

}  // namespace
}  // namespace rialto
