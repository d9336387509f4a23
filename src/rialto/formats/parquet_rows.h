// Rows of a parquet file as JSON, nested columns included.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::formats {

/// A row is a JSON object on one line, its keys in the order of the file's columns; lists, structures and maps are
/// lists and objects, dates and decimals texts. A null column is a key that is not there; a null inside a structure is
/// a null, as Python's readers have it. Throws kInput for a file that is not parquet, has none of the columns (its own
/// are named), or holds what JSON has no form for (bytes that are no text, numbers that are not finite).
class ParquetRows {
 public:
  /// `columns`: those that are read, where the file has them.
  ParquetRows(const fs::path& path, std::span<const std::string_view> columns);
  ~ParquetRows();
  ParquetRows(const ParquetRows&) = delete;
  ParquetRows& operator=(const ParquetRows&) = delete;
  uint64_t num_rows() const;

  struct Batch {
    std::string bytes;             ///< of all rows, one after the other
    std::vector<int64_t> lengths;  ///< bytes of each
  };
  /// The next rows, until they have `max_bytes` or more. No rows at the end.
  Batch next(size_t max_bytes);

 private:
  fs::path path_;
  void* handle_ = nullptr;
};

}  // namespace rialto::formats
