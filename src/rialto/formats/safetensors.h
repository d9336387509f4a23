// safetensors files: header parsing that survives any input, streaming writing. Source of the layout: the format
// section of the safetensors README (u64 header length, JSON header, data; offsets relative to the data).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/shape.h"

namespace rialto::formats {

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< bytes, from the start of the data
  uint64_t size() const { return end - begin; }
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;        ///< in the order of their data
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
  uint64_t data_start = 0;                      ///< file offset of the data
};

/// Reads and checks a header: length bound (100 MB), JSON, known dtypes, sizes that fit shapes, offsets inside the
/// file, no gap, overlap or duplicate name. Throws kInput naming file and tensor.
SafetensorsHeader read_safetensors_header(const ReadFile& file);

/// Header bytes for `entries` (begin/end are assigned here, in the given order, without gaps), padded with spaces to 8.
std::string make_safetensors_header(std::vector<SafetensorsEntry>& entries,
                                    const std::map<std::string, std::string>& metadata);

/// Writes header, then each tensor's bytes by calling `fill(index, sink)`; the sink must receive exactly size() bytes.
using ByteSink = std::function<void(std::span<const std::byte>)>;
void write_safetensors(FileOps& ops, const fs::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(size_t, const ByteSink&)>& fill);

}  // namespace rialto::formats
