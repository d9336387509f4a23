// Lines through a buffer of one megabyte plus the current line.
#include "rialto/data/line_reader.h"

#include <algorithm>
#include <span>

#include "rialto/base/error.h"
#include "rialto/data/document_reader.h"

namespace rialto::data {

LineReader::LineReader(const fs::path& path) : path_(path), total_bytes_(ReadFile(path).size()) {
  const TextFile file = text_file(path, total_bytes_);
  packed_ = file.compression.has_value();
  stream_ = open_stream(file, 0);
}

uint64_t LineReader::bytes_read() const {
  return packed_ ? stream_->consumed() : stream_->consumed() - (buffer_.size() - begin_);
}

bool LineReader::next(std::string_view& line) {
  size_t end = buffer_.find('\n', begin_);
  while (end == std::string::npos && !at_end_) {
    const size_t searched = buffer_.size() - begin_;
    refill();
    end = buffer_.find('\n', searched);
  }
  if (end == std::string::npos && begin_ == buffer_.size()) return false;
  line = std::string_view(buffer_).substr(begin_, end == std::string::npos ? std::string::npos : end - begin_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  begin_ = end == std::string::npos ? buffer_.size() : end + 1;
  ++number_;
  return true;
}

/// Moves what is left of the buffer to its front and appends the next megabyte.
void LineReader::refill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  if (buffer_.size() > kMaxDocumentBytes) {
    ++number_;
    throw Error(ErrorKind::kInput, where(), "is longer than a row may be",
                {.want = "at most " + std::to_string(kMaxDocumentBytes) + " bytes"});
  }
  const size_t old = buffer_.size();
  buffer_.resize(old + (1u << 20));
  const size_t count = stream_->read(std::as_writable_bytes(std::span(buffer_).subspan(old)));
  buffer_.resize(old + count);
  at_end_ = count == 0;
}

}  // namespace rialto::data
