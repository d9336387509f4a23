// XXH3-128, the hash of manifests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace rialto {

/// Streaming XXH3-128; hex() is 32 lower-case digits, high half first (as `xxhsum -H128` prints).
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  std::string hex() const;
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash_hex(std::span<const std::byte> bytes);

/// IEEE CRC-32 (zip), continued from `crc` (0 to start).
uint32_t crc32(uint32_t crc, std::span<const std::byte> bytes);

}  // namespace rialto
