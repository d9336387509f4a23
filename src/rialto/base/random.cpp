// Philox 4x32-10 with counter (index, stream) and key = seed.
#include "rialto/base/random.h"

#include <array>
#include <cmath>
#include <numbers>

#include <xxhash.h>

namespace rialto {

namespace {

using Words = std::array<uint32_t, 4>;

Words philox(uint64_t index, const uint32_t stream[2], const uint32_t key_words[2]) {
  Words c = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), stream[0], stream[1]};
  uint32_t k0 = key_words[0], k1 = key_words[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

uint64_t join(uint32_t low, uint32_t high) { return (static_cast<uint64_t>(high) << 32) | low; }

double normal_of(const Words& words) {
  constexpr double kScale = 0x1p-53;
  const double u1 = (static_cast<double>(join(words[0], words[1]) >> 11) + 1.0) * kScale;  // (0, 1]: its log is finite
  const double u2 = static_cast<double>(join(words[2], words[3]) >> 11) * kScale;
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2);
}

}  // namespace

RandomStream::RandomStream(uint64_t seed, std::string_view name) {
  const uint64_t stream = XXH3_64bits(name.data(), name.size());
  key_[0] = static_cast<uint32_t>(seed);
  key_[1] = static_cast<uint32_t>(seed >> 32);
  stream_[0] = static_cast<uint32_t>(stream);
  stream_[1] = static_cast<uint32_t>(stream >> 32);
}

std::array<uint32_t, 4> RandomStream::words(uint64_t index) const { return philox(index, stream_, key_); }

uint64_t RandomStream::bits(uint64_t index) const {
  const Words words = philox(index, stream_, key_);
  return join(words[0], words[1]);
}

double RandomStream::uniform(uint64_t index) const { return static_cast<double>(bits(index) >> 11) * 0x1p-53; }

double RandomStream::normal(uint64_t index) const { return normal_of(philox(index, stream_, key_)); }

void RandomStream::fill_normal(std::span<float> out, uint64_t first, double mean, double std) const {
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(mean + std * normal(first + i));
}

}  // namespace rialto
