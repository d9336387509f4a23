// Reads documents file by file; JSONL through a buffer of one megabyte plus the current line.
#include "rialto/data/document_reader.h"

#include <algorithm>
#include <span>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/formats/utf8.h"

namespace rialto::data {

/// Lines of a file with their numbers, counted from 1.
class DocumentReader::Lines {
 public:
  explicit Lines(const fs::path& path) : file_(path) {}

  bool next(std::string_view& line) {
    size_t end = buffer_.find('\n', begin_);
    while (end == std::string::npos && offset_ < file_.size()) {
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

  std::string where() const { return file_.path().string() + ":" + std::to_string(number_); }
  uint64_t bytes_read() const { return offset_ - (buffer_.size() - begin_); }

 private:
  /// Moves what is left of the buffer to its front and appends the next megabyte.
  void refill() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    if (buffer_.size() > kMaxDocumentBytes) {
      ++number_;
      throw Error(ErrorKind::kInput, where(), "is longer than a document may be",
                  {.want = "at most " + std::to_string(kMaxDocumentBytes) + " bytes"});
    }
    const size_t old = buffer_.size();
    const uint64_t count = std::min<uint64_t>(1u << 20, file_.size() - offset_);
    buffer_.resize(old + count);
    file_.read_at(offset_, std::as_writable_bytes(std::span(buffer_).subspan(old)));
    offset_ += count;
  }

  ReadFile file_;
  std::string buffer_;
  size_t begin_ = 0;
  uint64_t offset_ = 0, number_ = 0;
};

DocumentReader::DocumentReader(std::vector<TextFile> files, const TextSource& source, SkipCounts& skipped)
    : files_(std::move(files)), source_(source), skipped_(skipped) {
  for (const TextFile& file : files_) total_bytes_ += file.bytes;
}

DocumentReader::~DocumentReader() = default;

bool DocumentReader::next(std::string& out) {
  while (true) {
    if (lines_) {
      if (next_line(out)) return true;
      lines_.reset();
    }
    if (next_file_ == files_.size()) return false;
    const TextFile& file = files_[next_file_++];
    if (file.json_lines) {
      lines_ = std::make_unique<Lines>(file.path);
      ++files_read_;
    } else if (next_text_file(file, out)) {
      return true;
    }
  }
}

bool DocumentReader::next_text_file(const TextFile& file, std::string& out) {
  if (file.bytes > kMaxDocumentBytes) {
    throw Error(ErrorKind::kInput, file.path.string(), "is one document and too long for that",
                {.got = std::to_string(file.bytes) + " bytes",
                 .want = "at most " + std::to_string(kMaxDocumentBytes),
                 .hint = "make it JSONL, a document a line"});
  }
  out = read_text_file(file.path, kMaxDocumentBytes);
  bytes_read_ += file.bytes;
  if (!formats::is_utf8(out)) {
    ++skipped_["not UTF-8"];
    return false;
  }
  ++files_read_;
  return give(out);
}

bool DocumentReader::next_line(std::string& out) {
  out.clear();
  std::string_view line;
  const uint64_t before = lines_->bytes_read();
  while (lines_->next(line)) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;  // as at the end of many files
    const Json value = parse_json(line, lines_->where());
    const auto text = value.is_object() ? value.find(source_.json_key) : value.end();
    if (!value.is_object() || text == value.end() || !text->is_string()) {
      throw Error(ErrorKind::kInput, lines_->where(), "has no text under \"" + source_.json_key + "\"",
                  {.hint = "name the key with --json-key"});
    }
    out = text->get<std::string>();
    if (give(out)) break;
    out.clear();
  }
  bytes_read_ += lines_->bytes_read() - before;
  return !out.empty();
}

bool DocumentReader::give(std::string& out) {
  if (out.empty()) {
    ++skipped_["empty"];
    return false;
  }
  ++documents_;
  text_bytes_ += out.size();
  return true;
}

}  // namespace rialto::data
