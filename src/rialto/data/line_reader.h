// Lines of a text file with their numbers.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rialto/data/byte_stream.h"

namespace rialto::data {

class LineReader {
 public:
  /// .gz and .zst are unpacked on the way. Throws kInput for a file that is missing or damaged.
  explicit LineReader(const fs::path& path);
  /// The next line without its end (\n or \r\n) into `line`, valid until the next call; false behind the last. Memory:
  /// a megabyte and the line. Throws kInput for a line of more than kMaxDocumentBytes.
  bool next(std::string_view& line);
  std::string where() const { return path_.string() + ":" + std::to_string(number_); }  ///< "file:line", from 1
  /// Of the file on disk: of a plain one up to the current line, of a packed one what has been unpacked.
  uint64_t bytes_read() const;
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  void refill();

  fs::path path_;
  uint64_t total_bytes_;
  bool packed_;
  std::unique_ptr<ByteStream> stream_;
  std::string buffer_;
  size_t begin_ = 0;
  bool at_end_ = false;
  uint64_t number_ = 0;
};

}  // namespace rialto::data
