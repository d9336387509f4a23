// Blocks are handed on, never hold more than was in use at once, and are LibTorch's once asked for.
#include "rialto/kernels/host_blocks.h"

#include <ATen/Functions.h>

#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace rialto::kernels {
namespace {

constexpr size_t kMb = size_t{1} << 20;

TEST(HostBlocks, TheNextOfItsSizeTakesABlockOver) {
  HostBlocks blocks;
  void* first = blocks.take(3 * kMb);
  std::memset(first, 1, 3 * kMb);
  EXPECT_TRUE(blocks.give_back(first));
  EXPECT_EQ(blocks.used_bytes(), 0u);
  EXPECT_EQ(blocks.waiting_bytes(), 3 * kMb);
  EXPECT_EQ(blocks.take(3 * kMb - 100), first) << "a little smaller";
  EXPECT_EQ(blocks.waiting_bytes(), 0u);
  EXPECT_EQ(blocks.used_bytes(), 3 * kMb) << "the whole block is in use";
  void* second = blocks.take(3 * kMb);
  EXPECT_NE(second, first);
  EXPECT_TRUE(blocks.give_back(first));
  EXPECT_NE(blocks.take(2 * kMb), first) << "a third of it would lie idle";
}

TEST(HostBlocks, HoldNoMoreThanWasInUse) {
  HostBlocks blocks;
  std::vector<void*> small;
  for (int i = 0; i < 8; ++i) small.push_back(blocks.take(kMb));
  for (void* block : small) blocks.give_back(block);
  EXPECT_EQ(blocks.waiting_bytes(), 8 * kMb);
  void* large = blocks.take(5 * kMb);
  EXPECT_EQ(blocks.waiting_bytes(), 3 * kMb) << "a fresh block is paid for by the waiting ones";
  EXPECT_EQ(blocks.take(kMb), small[5]) << "the longest waiting went first";
  EXPECT_TRUE(blocks.give_back(large));
}

TEST(HostBlocks, KnowTheirOwn) {
  HostBlocks blocks;
  int other = 0;
  EXPECT_FALSE(blocks.give_back(&other));
  void* block = blocks.take(1);
  EXPECT_TRUE(blocks.give_back(block));
  EXPECT_FALSE(blocks.give_back(block)) << "twice";
  EXPECT_EQ(blocks.take(size_t{1} << 60), nullptr);
}

TEST(HostBlocks, ManyThreadsAtOnce) {
  HostBlocks blocks;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&blocks, t] {
      for (int i = 0; i < 200; ++i) {
        const size_t bytes = kMb / 4 * static_cast<size_t>(1 + (i + t) % 5);
        auto* block = static_cast<char*>(blocks.take(bytes));
        block[0] = block[bytes - 1] = static_cast<char>(t);
        std::this_thread::yield();
        EXPECT_EQ(block[0], t);
        EXPECT_EQ(block[bytes - 1], t);
        EXPECT_TRUE(blocks.give_back(block));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(blocks.used_bytes(), 0u);
}

TEST(HostBlocks, ServeTensorsOnceAsked) {
  const at::Tensor before = at::ones({1 << 20});
  use_host_blocks();
  const void* memory = nullptr;
  {
    const at::Tensor x = at::full({1 << 20}, 3.0);
    memory = x.data_ptr();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 4096, 0u);
    EXPECT_EQ(x.sum().item<double>(), 3 << 20);
  }
  EXPECT_EQ(at::empty({1 << 20}).data_ptr(), memory) << "handed on";
  EXPECT_EQ(at::zeros({1 << 20}).sum().item<double>(), 0) << "zeros are written";
  EXPECT_EQ(before.sum().item<double>(), 1 << 20);
}

}  // namespace
}  // namespace rialto::kernels
