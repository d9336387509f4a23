// Lines of a text file with their numbers.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::data {

class LineReader {
 public:
  explicit LineReader(const fs::path& path) : file_(path) {}
  /// The next line without its end (\n or \r\n) into `line`, valid until the next call; false behind the last. Memory:
  /// a megabyte and the line. Throws kInput for a line of more than kMaxDocumentBytes.
  bool next(std::string_view& line);
  std::string where() const { return file_.path().string() + ":" + std::to_string(number_); }  ///< "file:line", from 1
  uint64_t bytes_read() const { return offset_ - (buffer_.size() - begin_); }
  uint64_t total_bytes() const { return file_.size(); }

 private:
  void refill();

  ReadFile file_;
  std::string buffer_;
  size_t begin_ = 0;
  uint64_t offset_ = 0, number_ = 0;
};

}  // namespace rialto::data
