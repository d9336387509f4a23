// Hashes against published values and, for CRC-32, against zlib at every length and alignment.
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include "rialto/base/hash.h"

namespace rialto {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Hash, KnownValues) {
  EXPECT_EQ(hash_hex({}), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_hex(bytes_of("a")), "a96faf705af16834e6c632b61e964e1f");
}

TEST(Hash, PiecesGiveTheWhole) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += static_cast<char>(i * 7);
  Hasher hasher;
  for (size_t at = 0, step = 1; at < text.size(); at += step, step = step * 3 % 1009 + 1)
    hasher.update(bytes_of(text).subspan(at, std::min(step, text.size() - at)));
  EXPECT_EQ(hasher.hex(), hash_hex(bytes_of(text)));
  hasher.reset();
  EXPECT_EQ(hasher.hex(), hash_hex({}));
}

TEST(Crc32, KnownValue) { EXPECT_EQ(crc32(0, bytes_of("123456789")), 0xCBF43926u); }

TEST(Crc32, AgreesWithZlib) {
  std::mt19937 random(3);
  std::vector<std::byte> data(5000);
  for (std::byte& b : data) b = static_cast<std::byte>(random());
  for (size_t size = 0; size < 700; ++size) {
    for (const size_t offset : {0u, 1u, 7u, 16u}) {
      const auto part = std::span(data).subspan(offset, size);
      const auto want = ::crc32_z(0, reinterpret_cast<const Bytef*>(part.data()), part.size());
      ASSERT_EQ(crc32(0, part), want) << size << " " << offset;
    }
  }
  const auto whole = ::crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
  for (const size_t cut : {0u, 1u, 100u, 128u, 129u, 4096u, 5000u}) {
    EXPECT_EQ(crc32(crc32(0, std::span(data).first(cut)), std::span(data).subspan(cut)), whole) << cut;
  }
}

}  // namespace
}  // namespace rialto
