// Items through threads, results in order, failures by item.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "rialto/base/ordered_pipeline.h"

namespace rialto {
namespace {

using Pipeline = OrderedPipeline<int, int>;

Pipeline::Produce numbers(int count, int& next) {
  return [count, &next](int& item) {
    if (next == count) return false;
    item = next++;
    return true;
  };
}

TEST(OrderedPipeline, ResultsComeInTheItemsOrder) {
  for (const size_t threads : {1u, 2u, 7u}) {
    int next = 0;
    std::vector<int> seen;
    Pipeline::run(
        threads, numbers(300, next),
        [](int& item) {
          std::this_thread::sleep_for(std::chrono::microseconds(item * 37 % 100));
          return item * item;
        },
        [&](int& result) { seen.push_back(result); });
    ASSERT_EQ(seen.size(), 300u);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i * i);
  }
}

TEST(OrderedPipeline, NothingToDo) {
  int next = 0;
  Pipeline::run(3, numbers(0, next), [](int& item) { return item; }, [](int&) { FAIL(); });
}

TEST(OrderedPipeline, FewItemsAreOnTheirWayAtOnce) {
  int next = 0;
  std::atomic<int> produced{0};
  int consumed = 0, most = 0;
  const auto count = numbers(200, next);
  Pipeline::run(
      3,
      [&](int& item) {
        const bool more = count(item);
        produced += more ? 1 : 0;
        return more;
      },
      [](int& item) { return item; },
      [&](int&) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        most = std::max(most, produced.load() - consumed);
        ++consumed;
      });
  EXPECT_LE(most, 2 * 3 + 2 + 1);
  EXPECT_EQ(consumed, 200);
}

TEST(OrderedPipeline, TheEarliestFailureIsTheOneThatIsTold) {
  for (int round = 0; round < 20; ++round) {
    int next = 0, consumed = 0;
    try {
      Pipeline::run(
          4, numbers(1000, next),
          [](int& item) {
            if (item == 9) std::this_thread::sleep_for(std::chrono::milliseconds(2));
            if (item >= 9) throw std::runtime_error(std::to_string(item));
            return item;
          },
          [&](int&) { ++consumed; });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "9");
    }
    EXPECT_EQ(consumed, 9);
  }
}

TEST(OrderedPipeline, FailuresOfTheOtherTwoComeOutAsWell) {
  int consumed = 0;
  const auto failing = [n = 0](int& item) mutable {
    if (n == 20) throw std::runtime_error("produce");
    item = n++;
    return true;
  };
  try {
    Pipeline::run(3, failing, [](int& item) { return item; }, [&](int&) { ++consumed; });
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "produce");
  }
  EXPECT_EQ(consumed, 20);
  int next = 0;
  EXPECT_THROW(
      Pipeline::run(
          3, numbers(100, next), [](int& item) { return item; }, [](int&) { throw std::runtime_error("consume"); }),
      std::runtime_error);
}

}  // namespace
}  // namespace rialto
