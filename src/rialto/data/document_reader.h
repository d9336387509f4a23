// The documents of text and JSONL files, one after the other, in bounded memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rialto/data/text_files.h"

namespace rialto::data {

/// A text file is one document and may have this many bytes; so may a JSONL line.
inline constexpr uint64_t kMaxDocumentBytes = 64u << 20;

class DocumentReader {
 public:
  /// Keeps references to `source` and `skipped`, which must outlive it.
  DocumentReader(std::vector<TextFile> files, const TextSource& source, SkipCounts& skipped);
  ~DocumentReader();

  /// The next document's text into `out`; false after the last. Text files that are not UTF-8, and empty documents, are
  /// counted and left out. Throws kInput naming file:line for a line that is not an object with text under the key.
  bool next(std::string& out);

  uint64_t total_bytes() const { return total_bytes_; }  ///< of all files
  uint64_t bytes_read() const { return bytes_read_; }    ///< of them so far
  uint64_t files_read() const { return files_read_; }
  uint64_t documents() const { return documents_; }
  uint64_t text_bytes() const { return text_bytes_; }  ///< UTF-8 bytes of the documents given out

 private:
  class Lines;
  bool next_text_file(const TextFile& file, std::string& out);
  bool next_line(std::string& out);
  bool give(std::string& out);

  std::vector<TextFile> files_;
  const TextSource& source_;
  SkipCounts& skipped_;
  std::unique_ptr<Lines> lines_;
  size_t next_file_ = 0;
  uint64_t total_bytes_ = 0, bytes_read_ = 0, files_read_ = 0, documents_ = 0, text_bytes_ = 0;
};

}  // namespace rialto::data
