// Memory of large host tensors. The C library's heap keeps holes between tensors that live for different times: of a
// training step up to a quarter. Here each tensor has pages of its own, which the next one of its size takes over, so
// that they are not given out fresh at every step either.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>

namespace rialto::kernels {

/// Mapped blocks, in use or waiting for the next of about their size. What waits never makes the whole larger than what
/// was once in use: before a fresh block is mapped, waiting ones of at least its size are unmapped, the longest first.
class HostBlocks {
 public:
  static constexpr size_t kSmallest = size_t{256} << 10;  ///< bytes; less is left to the heap

  HostBlocks() = default;
  HostBlocks(const HostBlocks&) = delete;
  HostBlocks& operator=(const HostBlocks&) = delete;
  ~HostBlocks();

  /// At least `bytes`, aligned to a page, of any content. Null when the machine has no more. Thread-safe, as all of it.
  void* take(size_t bytes);
  /// False if the address is not one of take(): the caller's own business then.
  bool give_back(void* block);

  size_t used_bytes() const;
  size_t waiting_bytes() const;

 private:
  struct Waiting {
    void* block;
    size_t bytes;
  };
  void unmap_waiting(size_t bytes);
  void forget(std::multimap<size_t, std::list<Waiting>::iterator>::iterator entry);

  mutable std::mutex mutex_;
  std::unordered_map<void*, size_t> used_;
  std::list<Waiting> oldest_first_;
  std::multimap<size_t, std::list<Waiting>::iterator> by_size_;
  size_t used_bytes_ = 0, waiting_bytes_ = 0;
};

/// From now on host tensors of HostBlocks::kSmallest bytes or more have their memory from one HostBlocks of the
/// process. For programs, at their start.
void use_host_blocks();

}  // namespace rialto::kernels
