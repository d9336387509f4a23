// Rows of a file as lines of JSON, wherever they come from.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::data {

/// JSON lines, plain or packed (.gz, .zst), and rows of a .parquet file, front to back.
class RowLines {
 public:
  virtual ~RowLines() = default;
  /// The next row into `line`, valid until the next call; false behind the last. Blank lines are passed over. Throws
  /// kInput for a damaged file or a row of more than kMaxDocumentBytes.
  virtual bool next(std::string_view& line) = 0;
  virtual std::string where() const = 0;     ///< "file:line" of what next() gave, from 1
  virtual uint64_t bytes_read() const = 0;   ///< of the file on disk, for progress
  virtual uint64_t total_bytes() const = 0;  ///< of the file on disk
};

/// By the file's name. Of a parquet file the columns that fine-tuning rows have.
std::unique_ptr<RowLines> open_row_lines(const fs::path& path);

}  // namespace rialto::data
