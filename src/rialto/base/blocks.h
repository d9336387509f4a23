// Bytes from a reader by position to a sink, a block at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rialto {

/// Calls read(position, out) and sink(bytes) in turn until `size` bytes have gone by. Holds at most 4 MB.
template <class Read, class Sink>
void for_each_block(uint64_t size, const Read& read, const Sink& sink) {
  constexpr uint64_t kBlockBytes = 4u << 20;
  std::vector<std::byte> block(static_cast<size_t>(std::min(kBlockBytes, size)));
  for (uint64_t at = 0; at < size; at += block.size()) {
    block.resize(static_cast<size_t>(std::min<uint64_t>(block.size(), size - at)));
    read(at, std::span(block));
    sink(std::span<const std::byte>(block));
  }
}

}  // namespace rialto
