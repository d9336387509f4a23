// The `.metadata` file of torch.distributed.checkpoint: which keys exist, their global shapes and chunks, and where
// each chunk's bytes lie. Source: torch/distributed/checkpoint/{metadata,filesystem}.py (2.11).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/shape.h"

namespace rialto::formats {

struct FileSpan {
  std::string file;  ///< relative: "__0_0.distcp"
  uint64_t offset = 0, length = 0;
  bool operator==(const FileSpan&) const = default;
};

struct DcpChunk {
  Shape offsets, sizes;
  FileSpan span;  ///< a whole torch.save archive
};

struct DcpTensor {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<DcpChunk> chunks;
};

struct DcpMetadata {
  std::map<std::string, DcpTensor> tensors;
  std::map<std::string, FileSpan> objects;  ///< BytesStorageMetadata: a pickled object
};

/// Throws kInput on damage, classes outside the format, chunks without storage, overlapping or missing chunks.
DcpMetadata parse_dcp_metadata(std::span<const std::byte> bytes, std::string_view where);
/// Bytes that torch's FileSystemReader opens; no path of this machine inside.
std::string make_dcp_metadata(const DcpMetadata& metadata);

}  // namespace rialto::formats
