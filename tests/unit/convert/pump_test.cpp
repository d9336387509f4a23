// The stream between two threads.
#include "rialto/convert/pump.h"

#include "rialto/base/error.h"
#include "tests/unit/convert/toy.h"

namespace rialto::convert {
namespace {

TEST(Pump, DeliversEveryByteInOrder) {
  constexpr size_t kTotal = 30u << 20;
  Pump pump([](const ByteSink& sink) {
    std::vector<std::byte> part;
    for (size_t at = 0, size = 1; at < kTotal; at += part.size(), size = size * 3 % 999'983 + 1) {
      part.resize(std::min(size, kTotal - at));
      for (size_t i = 0; i < part.size(); ++i) part[i] = static_cast<std::byte>((at + i) * 31 >> 3);
      sink(part);
    }
  });
  size_t at = 0;
  bool right = true;
  for (size_t size = 7; at < kTotal; size = size * 5 % 3'000'001 + 1)
    pump.take(std::min(size, kTotal - at), [&](std::span<const std::byte> bytes) {
      for (const std::byte byte : bytes) right = right && byte == static_cast<std::byte>(at++ * 31 >> 3);
    });
  EXPECT_TRUE(right);
  pump.finish();
}

TEST(Pump, ErrorsOfTheMakerReachTheTaker) {
  Pump pump([](const ByteSink& sink) {
    sink(std::vector<std::byte>(10));
    throw Error(ErrorKind::kInput, "maker", "broke");
  });
  expect_error(ErrorKind::kInput, {"broke"}, [&] { pump.take(11, [](std::span<const std::byte>) {}); });
}

TEST(Pump, TooFewAndTooMany) {
  Pump few([](const ByteSink& sink) { sink(std::vector<std::byte>(10)); });
  expect_error(ErrorKind::kInternal, {"fewer"}, [&] { few.take(11, [](std::span<const std::byte>) {}); });
  Pump many([](const ByteSink& sink) { sink(std::vector<std::byte>(10)); });
  many.take(9, [](std::span<const std::byte>) {});
  expect_error(ErrorKind::kInternal, {"more"}, [&] { many.finish(); });
}

TEST(Pump, AbandonedMakersEnd) {
  Pump pump([](const ByteSink& sink) {
    for (;;) sink(std::vector<std::byte>(1 << 20));
  });
  pump.take(100, [](std::span<const std::byte>) {});
}

}  // namespace
}  // namespace rialto::convert
