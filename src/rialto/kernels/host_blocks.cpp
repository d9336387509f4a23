// Blocks of pages that tensors of one size hand on to each other, and LibTorch's allocator over them.
#include "rialto/kernels/host_blocks.h"

#include <c10/core/CPUAllocator.h>

#include <fmt/format.h>
#include <sys/mman.h>

#include "rialto/base/error.h"

namespace rialto::kernels {
namespace {

constexpr size_t kPage = 4096;

size_t rounded(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

HostBlocks::~HostBlocks() { unmap_waiting(waiting_bytes_); }

void* HostBlocks::take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const size_t size = rounded(bytes);
  const auto fit = by_size_.lower_bound(size);
  if (fit != by_size_.end() && fit->first <= size + size / 8) {
    const auto [block, held] = *fit->second;
    forget(fit);
    used_.emplace(block, held);
    used_bytes_ += held;
    return block;
  }
  unmap_waiting(size);
  void* block = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  used_.emplace(block, size);
  used_bytes_ += size;
  return block;
}

bool HostBlocks::give_back(void* block) {
  const std::lock_guard lock(mutex_);
  const auto found = used_.find(block);
  if (found == used_.end()) return false;
  const size_t size = found->second;
  used_.erase(found);
  used_bytes_ -= size;
  waiting_bytes_ += size;
  by_size_.emplace(size, oldest_first_.insert(oldest_first_.end(), {block, size}));
  return true;
}

size_t HostBlocks::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_bytes_;
}

size_t HostBlocks::waiting_bytes() const {
  const std::lock_guard lock(mutex_);
  return waiting_bytes_;
}

/// At least `bytes` of what waits, if there is as much.
void HostBlocks::unmap_waiting(size_t bytes) {
  for (size_t done = 0; done < bytes && !oldest_first_.empty();) {
    const auto oldest = oldest_first_.begin();
    const auto [block, size] = *oldest;
    auto entry = by_size_.lower_bound(size);
    while (entry->second != oldest) ++entry;
    forget(entry);
    ::munmap(block, size);
    done += size;
  }
}

void HostBlocks::forget(std::multimap<size_t, std::list<Waiting>::iterator>::iterator entry) {
  waiting_bytes_ -= entry->first;
  oldest_first_.erase(entry->second);
  by_size_.erase(entry);
}

namespace {

/// Lives as long as the process: tensors of static storage are freed at its very end.
HostBlocks& blocks() {
  static auto* const all = new HostBlocks;
  return *all;
}

class HostAllocator final : public c10::Allocator {
 public:
  explicit HostAllocator(c10::Allocator* small) : small_(small) {}

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < HostBlocks::kSmallest) return small_->allocate(bytes);
    void* block = blocks().take(bytes);
    if (!block) {
      c10::profiledCPUMemoryReporter().OutOfMemory(bytes);
      throw Error(ErrorKind::kIo, "memory", fmt::format("the machine has no {} bytes left for a tensor", bytes),
                  {.got = {}, .want = {}, .hint = "a smaller micro-batch, recompute or offload need less"});
    }
    c10::profiledCPUMemoryReporter().New(block, bytes);
    return {block, block, &free_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_any; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

 private:
  static void free_block(void* block) {
    c10::profiledCPUMemoryReporter().Delete(block);
    blocks().give_back(block);
  }
  static void free_any(void* memory) {
    if (blocks().give_back(memory)) {
      c10::profiledCPUMemoryReporter().Delete(memory);
    } else {
      c10::GetDefaultCPUAllocator()->raw_deleter()(memory);
    }
  }

  c10::Allocator* small_;
};

}  // namespace

void use_host_blocks() {
  constexpr uint8_t kOverTheDefault = 100;
  c10::SetCPUAllocator(new HostAllocator(c10::GetDefaultCPUAllocator()), kOverTheDefault);  // LibTorch keeps it forever
}

}  // namespace rialto::kernels
