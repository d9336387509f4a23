// Runs of whole documents as they lie in files, not parsed: what one thread reads for many to work on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rialto/data/byte_stream.h"
#include "rialto/data/text_shard.h"
#include "rialto/formats/parquet.h"

namespace rialto::data {

/// A text file is one document and may have this many bytes; so may a JSONL line and a parquet text.
inline constexpr uint64_t kMaxDocumentBytes = 64u << 20;

/// Where reading goes on: a piece by number, then bytes of the unpacked file or rows of a parquet file (0: the piece's
/// beginning), and the rows of the piece before that.
struct ReadPosition {
  uint64_t piece = 0, offset = 0, rows = 0;
};

struct TextChunk {
  const TextPiece* piece = nullptr;
  std::string bytes;                  ///< a whole text, or JSON lines, or the texts of parquet rows
  std::vector<int64_t> lengths = {};  ///< parquet: bytes of each row, -1 for a null
  bool too_long = false;              ///< one text or line beyond kMaxDocumentBytes; `bytes` is its beginning
  bool begins_file = false;
  uint64_t first_row = 0;   ///< rows of the piece before this chunk
  ReadPosition after = {};  ///< where the next chunk begins
  uint64_t read_bytes = 0;  ///< of the files, this chunk included; counted from where the reader began
};

class ChunkReader {
 public:
  /// `column`: of the texts in parquet files. `pieces` must outlive the chunks.
  ChunkReader(const std::vector<TextPiece>& pieces, std::string column, ReadPosition from = {});
  ~ChunkReader();
  /// The next chunk, about a megabyte of lines; false at the end. The same documents wherever reading began. Throws
  /// kInput for missing and damaged files.
  bool next(TextChunk& out);
  uint64_t total_bytes() const { return total_bytes_; }  ///< of the files from where the reader began; 0: unknown

 private:
  bool next_lines(TextChunk& out);
  bool next_rows(TextChunk& out);
  bool next_text(TextChunk& out);
  void open();
  void finish_piece(TextChunk& out);
  bool fill(size_t bytes);
  uint64_t reached() const;
  void tell_place(TextChunk& out) const;

  const std::vector<TextPiece>& pieces_;
  std::string column_;
  ReadPosition at_;
  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<formats::ParquetTexts> rows_;
  std::string buffer_;  ///< bytes of the stream from at_.offset on
  bool ended_ = false;  ///< the stream
  bool opened_ = false;
  uint64_t total_bytes_ = 0, finished_bytes_ = 0, skipped_bytes_ = 0;
};

}  // namespace rialto::data
