// Counter-based random numbers: a value is a pure function of (seed, stream name, element index), so that no layout,
// thread count or order of work changes it. Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3".
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace rialto {

class RandomStream {
 public:
  /// Stream names are parameter names for initial values ("init/decoder.layers.0...") and uses for others ("sample").
  RandomStream(uint64_t seed, std::string_view name);
  /// All 128 bits of a counter.
  std::array<uint32_t, 4> words(uint64_t index) const;
  uint64_t bits(uint64_t index) const;
  double uniform(uint64_t index) const;  ///< [0, 1), 53 bits
  double normal(uint64_t index) const;   ///< Box-Muller of two uniforms of the same counter
  /// out[i] = mean + std * normal(first + i), rounded to float.
  void fill_normal(std::span<float> out, uint64_t first, double mean, double std) const;

 private:
  uint32_t key_[2];
  uint32_t stream_[2];
};

}  // namespace rialto
