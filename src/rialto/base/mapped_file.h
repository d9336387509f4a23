// A whole file mapped into memory for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rialto/base/file_ops.h"

namespace rialto {

/// Unmapped on destruction. Throws kInput when the file is missing, kIo when it cannot be mapped, both naming the path.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace rialto
