// gzip and Zstandard files, read as streams.
#pragma once

#include <optional>
#include <span>

#include "rialto/base/file_ops.h"

namespace rialto::formats {

enum class Compression { kGzip, kZstd };

/// By the ending of the name: .gz or .zst.
std::optional<Compression> compression_of(const fs::path& path);

/// Several gzip members or Zstandard frames, one after the other, are one stream. Memory: the window of the format, at
/// most 128 MiB. Throws kInput for a missing or damaged file, and for one that ends early.
class CompressedFile {
 public:
  CompressedFile(const fs::path& path, Compression compression);
  ~CompressedFile();
  CompressedFile(const CompressedFile&) = delete;
  CompressedFile& operator=(const CompressedFile&) = delete;
  size_t read(std::span<std::byte> out);  ///< bytes read, 0 at the end
  uint64_t consumed() const;              ///< bytes of the compressed file read so far

 private:
  fs::path path_;
  void* handle_ = nullptr;
};

}  // namespace rialto::formats
