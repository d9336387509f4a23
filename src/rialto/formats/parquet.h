// Columns of parquet files: texts read, lists of integers read and written.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::formats {

/// A column of texts, row by row in batches. Throws kInput for a file that is not parquet or has no such column (the
/// columns that it has are named).
class ParquetTexts {
 public:
  struct Batch {
    std::string bytes;             ///< of all rows, one after the other; whether they are UTF-8 is not checked
    std::vector<int64_t> lengths;  ///< bytes of each row, -1 for a null
  };
  ParquetTexts(const fs::path& path, std::string_view column);
  ~ParquetTexts();
  ParquetTexts(const ParquetTexts&) = delete;
  ParquetTexts& operator=(const ParquetTexts&) = delete;
  uint64_t num_rows() const;
  void skip(uint64_t rows);
  /// The next rows: until they have `max_bytes` or more, at most 65,536 of them. No rows at the end.
  Batch next(size_t max_bytes);

 private:
  fs::path path_;
  void* handle_ = nullptr;
};

/// A column of lists of integers, a row group at a time. Throws kInput; a null list or a null element is refused.
class ParquetLists {
 public:
  ParquetLists(const fs::path& path, std::string_view column);
  ~ParquetLists();
  ParquetLists(const ParquetLists&) = delete;
  ParquetLists& operator=(const ParquetLists&) = delete;
  /// All elements of the next row group's lists, and each list's length; false after the last.
  bool next(std::vector<int64_t>& values, std::vector<int64_t>& lengths);

 private:
  fs::path path_;
  void* handle_ = nullptr;
};

/// Writes lists of integers as pyarrow does (snappy). Nothing is renamed or synced: the caller does both.
class ParquetListWriter {
 public:
  struct Column {
    std::string name;
    int bits = 32;  ///< 32, or 8 for list<int8>
  };
  ParquetListWriter(WriteFile& file, std::span<const Column> columns);
  ~ParquetListWriter();
  ParquetListWriter(const ParquetListWriter&) = delete;
  ParquetListWriter& operator=(const ParquetListWriter&) = delete;

  struct Lists {
    std::vector<int32_t> values;
    std::vector<int64_t> lengths;
  };
  /// One row group: for each column its lists, as many as for every other column.
  void write(std::span<const Lists> columns);
  void finish();

 private:
  WriteFile& file_;
  void* handle_ = nullptr;
};

}  // namespace rialto::formats
