// Rows that hold no document: where they are, what is wrong with them, and the file that they are put into.
#pragma once

#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/data/json_row.h"
#include "rialto/data/text_chunk.h"

namespace rialto::data {

struct BadRow {
  const TextPiece* piece = nullptr;
  uint64_t row = 0;  ///< of the piece, from 0
  RowFault fault;
  std::string bytes;  ///< the row, at most its first megabyte
};

/// "file.jsonl:12", "file.parquet row 12" (both from 1) or "file.txt". For a piece that begins inside of a file the
/// lines before it are counted then.
std::string where_of(const BadRow& row);

/// The Error of a run that stops at a bad row: kInput, with file, line and (for bad JSON) column.
[[noreturn]] void refuse(const BadRow& row);

/// A line of a quarantine file: {"file", "row" (from 1), "kind", "what", "text" or (where that is not UTF-8) "hex"}.
std::string quarantine_line(std::string_view file, uint64_t row, std::string_view kind, std::string_view what,
                            std::string_view bytes);
std::string quarantine_line(const BadRow& row);

}  // namespace rialto::data
