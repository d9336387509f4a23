// The bytes of a text file, plain or compressed, or of stdin, front to back.
#pragma once

#include <memory>
#include <span>

#include "rialto/data/text_files.h"

namespace rialto::data {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Bytes read; 0 at the end only.
  virtual size_t read(std::span<std::byte> out) = 0;
  /// Bytes of the file on disk behind us, for progress.
  virtual uint64_t consumed() const = 0;
};

/// Beginning at byte `offset` of the unpacked file: a seek in a plain one, unpacked and dropped before it in others.
/// Throws kInput when the file is missing, damaged or shorter than `offset`.
std::unique_ptr<ByteStream> open_stream(const TextFile& file, uint64_t offset);

}  // namespace rialto::data
