// Megatron's .bin/.idx token files, byte for byte. Source: megatron/core/datasets/indexed_dataset.py.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::formats {

/// Written as documents arrive; nothing appears under the final names before finish().
class IndexedDatasetWriter {
 public:
  /// `vocab` chooses the element type as Megatron does: u16 below 65500, else i32.
  IndexedDatasetWriter(FileOps& ops, const fs::path& prefix, int64_t vocab);
  ~IndexedDatasetWriter();
  void add_document(std::span<const int32_t> tokens);
  /// Writes .idx, fsyncs both, renames .bin then .idx.
  void finish();
  uint64_t num_tokens() const;
  uint64_t num_documents() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Memory-mapped reader; the whole index is checked when it is opened. Throws kInput on damage.
class IndexedDataset {
 public:
  explicit IndexedDataset(const fs::path& prefix);
  ~IndexedDataset();
  IndexedDataset(IndexedDataset&&) noexcept;
  int64_t num_sequences() const;
  std::span<const int32_t> lengths() const;           ///< tokens of each sequence
  std::span<const int64_t> document_indices() const;  ///< documents + 1
  int64_t num_tokens() const;
  int element_bytes() const;
  uint8_t element_code() const;                    ///< Megatron's number of the element type
  std::span<const std::byte> token_bytes() const;  ///< the whole .bin
  /// out[i] = token `offset + i` of sequence `index`.
  void read(int64_t index, int64_t offset, std::span<int32_t> out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rialto::formats
