// Naming bad rows.
#include "rialto/data/bad_rows.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/formats/utf8.h"

namespace rialto::data {
namespace {

/// Rows of the file before the piece's first: its lines begin behind the newline at or after byte begin - 1.
uint64_t rows_before(const TextPiece& piece) {
  if (piece.begin == 0) return 0;
  const ReadFile file(piece.file.path);
  std::vector<char> buffer(1u << 20);
  uint64_t lines = 1;
  for (uint64_t at = 0; at < piece.begin - 1; at += buffer.size()) {
    const auto step = std::span(buffer).first(std::min<uint64_t>(buffer.size(), piece.begin - 1 - at));
    file.read_at(at, std::as_writable_bytes(step));
    lines += static_cast<uint64_t>(std::count(step.begin(), step.end(), '\n'));
  }
  return lines;
}

std::string_view separator(const TextFile& file) { return file.form == TextFile::Form::kParquet ? " row " : ":"; }

}  // namespace

std::string where_of(const BadRow& row) {
  const TextFile& file = row.piece->file;
  const std::string name = file.is_stdin() ? "stdin" : file.path.string();
  if (file.form == TextFile::Form::kText) return name;
  return fmt::format("{}{}{}", name, separator(file), rows_before(*row.piece) + row.row + 1);
}

void refuse(const BadRow& row) {
  std::string where = where_of(row);
  if (row.fault.column > 0) where += ":" + std::to_string(row.fault.column);
  throw Error(ErrorKind::kInput, where, row.fault.what);
}

std::string quarantine_line(std::string_view file, uint64_t row, std::string_view kind, std::string_view what,
                            std::string_view bytes) {
  Json line{{"file", file}, {"row", row}, {"kind", kind}, {"what", what}};
  if (formats::is_utf8(bytes)) {
    line["text"] = bytes;
  } else {
    std::string hex;
    for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    line["hex"] = hex;
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string quarantine_line(const BadRow& row) {
  const TextFile& file = row.piece->file;
  return quarantine_line(file.is_stdin() ? "stdin" : file.path.string(), rows_before(*row.piece) + row.row + 1,
                         row.fault.kind, row.fault.what, row.bytes);
}

}  // namespace rialto::data
