// The documents of text, JSONL and parquet files, one after the other, in bounded memory.
#pragma once

#include <string>
#include <vector>

#include "rialto/data/parse_chunk.h"

namespace rialto::data {

class DocumentReader {
 public:
  /// Keeps references to `source` and `skipped`, which must outlive it.
  DocumentReader(const std::vector<TextFile>& files, const TextSource& source, SkipCounts& skipped);

  /// The next document's text into `out`; false after the last. Text files that are not UTF-8, and empty documents, are
  /// counted and left out. Throws kInput naming file:line for a row without a text.
  bool next(std::string& out);

  uint64_t total_bytes() const { return chunks_.total_bytes(); }  ///< of all files; 0 when stdin is among them
  uint64_t bytes_read() const { return chunk_.read_bytes; }       ///< of them so far
  uint64_t files_read() const { return files_read_; }
  uint64_t documents() const { return documents_; }
  uint64_t text_bytes() const { return text_bytes_; }  ///< UTF-8 bytes of the documents given out

 private:
  const TextSource& source_;
  SkipCounts& skipped_;
  std::vector<TextPiece> pieces_;
  ChunkReader chunks_;
  TextChunk chunk_;
  ParsedChunk parsed_;
  size_t next_ = 0;
  uint64_t files_read_ = 0, documents_ = 0, text_bytes_ = 0;
};

}  // namespace rialto::data
