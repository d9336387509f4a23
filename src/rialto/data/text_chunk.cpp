// Cuts files into chunks at the ends of lines.
#include "rialto/data/text_chunk.h"

#include <algorithm>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

constexpr size_t kChunkBytes = 1u << 20;
constexpr size_t kShownBytes = 200;  ///< of a document that is too long

/// Bytes of the file that belong to the piece, for progress.
uint64_t bytes_of(const TextPiece& piece) {
  return std::min(piece.end, std::max(piece.begin, piece.file.bytes)) - piece.begin;
}

}  // namespace

ChunkReader::ChunkReader(const std::vector<TextPiece>& pieces, std::string column, ReadPosition from)
    : pieces_(pieces), column_(std::move(column)), at_(from) {
  for (size_t i = from.piece; i < pieces.size(); ++i) total_bytes_ += bytes_of(pieces[i]);
  const auto is_stdin = [](const TextPiece& piece) { return piece.file.is_stdin(); };
  if (std::any_of(pieces.begin(), pieces.end(), is_stdin)) total_bytes_ = 0;
  if (at_.offset > 0 && at_.piece < pieces.size()) {
    open();
    skipped_bytes_ = reached();
    total_bytes_ -= std::min(total_bytes_, skipped_bytes_);
  }
}

ChunkReader::~ChunkReader() = default;

/// Opens the piece at at_; a piece that begins inside of a file begins behind the line it cuts.
void ChunkReader::open() {
  const TextPiece& piece = pieces_[at_.piece];
  buffer_.clear();
  ended_ = false;
  opened_ = true;
  if (piece.file.form == TextFile::Form::kParquet) {
    rows_ = std::make_unique<formats::ParquetTexts>(piece.file.path, column_);
    rows_->skip(at_.offset);
    return;
  }
  const bool cut = at_.offset == 0 && piece.begin > 0;
  if (at_.offset == 0) at_.offset = cut ? piece.begin - 1 : 0;
  stream_ = open_stream(piece.file, at_.offset);
  if (!cut) return;
  while (true) {
    const bool more = fill(kChunkBytes);
    const size_t newline = buffer_.find('\n');
    const size_t dropped = newline == std::string::npos ? buffer_.size() : newline + 1;
    buffer_.erase(0, dropped);
    at_.offset += dropped;
    if (newline != std::string::npos || !more) return;
  }
}

/// Reads until the buffer has `bytes`; false when the stream has ended before.
bool ChunkReader::fill(size_t bytes) {
  while (buffer_.size() < bytes && !ended_) {
    const size_t old = buffer_.size();
    buffer_.resize(std::min(bytes, old + std::clamp<size_t>(old, 1u << 16, kChunkBytes)));
    const size_t count = stream_->read(std::as_writable_bytes(std::span(buffer_).subspan(old)));
    buffer_.resize(old + count);
    ended_ = count == 0;
  }
  return buffer_.size() >= bytes;
}

void ChunkReader::finish_piece(TextChunk& out) {
  const TextPiece& piece = pieces_[at_.piece];
  finished_bytes_ += (piece.file.is_stdin() ? reached() : bytes_of(piece)) - skipped_bytes_;
  skipped_bytes_ = 0;
  at_ = {.piece = at_.piece + 1};
  stream_.reset();
  rows_.reset();
  opened_ = false;
  out.after = at_;
  out.read_bytes = finished_bytes_;
}

/// Bytes of the piece, as it lies on disk, before at_.
uint64_t ChunkReader::reached() const {
  const TextPiece& piece = pieces_[at_.piece];
  if (piece.file.is_stdin()) return stream_->consumed();
  if (!rows_ && !piece.file.compression) return std::min(at_.offset - piece.begin, bytes_of(piece));
  if (!rows_) return std::min(stream_->consumed(), piece.file.bytes);
  const double part = static_cast<double>(at_.offset) / static_cast<double>(std::max<uint64_t>(1, rows_->num_rows()));
  return static_cast<uint64_t>(static_cast<double>(piece.file.bytes) * std::min(1.0, part));
}

void ChunkReader::tell_place(TextChunk& out) const {
  out.after = at_;
  out.read_bytes = finished_bytes_ + reached() - skipped_bytes_;
}

bool ChunkReader::next(TextChunk& out) {
  while (at_.piece < pieces_.size()) {
    out = {};
    out.piece = &pieces_[at_.piece];
    out.begins_file = at_.offset == 0 && out.piece->begin == 0;
    if (!opened_) open();
    out.first_row = at_.rows;
    const TextFile::Form form = out.piece->file.form;
    const bool found = form == TextFile::Form::kText      ? next_text(out)
                       : form == TextFile::Form::kParquet ? next_rows(out)
                                                          : next_lines(out);
    if (found) return true;
  }
  return false;
}

bool ChunkReader::next_text(TextChunk& out) {
  if (fill(kMaxDocumentBytes + 1)) {
    out.too_long = true;
    buffer_.resize(kShownBytes);
  }
  out.bytes = std::move(buffer_);
  buffer_ = {};
  finish_piece(out);
  return true;
}

bool ChunkReader::next_rows(TextChunk& out) {
  auto batch = rows_->next(kChunkBytes);
  if (batch.lengths.empty()) {
    finish_piece(out);
    return out.begins_file;  // an empty file is read all the same
  }
  out.bytes = std::move(batch.bytes);
  out.lengths = std::move(batch.lengths);
  at_.rows += out.lengths.size();
  at_.offset += out.lengths.size();
  tell_place(out);
  return true;
}

bool ChunkReader::next_lines(TextChunk& out) {
  const uint64_t begin = at_.offset, end = out.piece->end;
  size_t length = 0;  // of the chunk
  if (begin < end) {
    // Up to the piece's end the chunk may hold whole lines; beyond it only what the line that began before has left.
    const uint64_t left = end - begin;
    size_t want = kChunkBytes;
    while (length == 0) {
      const bool more = fill(want);
      if (buffer_.size() < left) {
        length = more ? buffer_.rfind('\n') + 1 : buffer_.size();
      } else {
        const size_t newline = buffer_.find('\n', left - 1);
        length = newline != std::string::npos ? newline + 1 : more ? buffer_.rfind('\n', left - 1) + 1 : buffer_.size();
      }
      if (!more || length > 0) break;
      if (buffer_.size() > kMaxDocumentBytes) {
        out.too_long = true;
        break;
      }
      want = std::min<size_t>(2 * want, kMaxDocumentBytes + 1);
    }
  }
  if (out.too_long) {
    out.bytes = buffer_.substr(0, kShownBytes);
    size_t newline = buffer_.find('\n');
    while (newline == std::string::npos) {
      at_.offset += buffer_.size();
      buffer_.clear();
      if (!fill(kChunkBytes) && buffer_.empty()) break;
      newline = buffer_.find('\n');
    }
    length = newline == std::string::npos ? 0 : newline + 1;
    buffer_.erase(0, length);
    at_.rows += 1;
  } else if (length == 0) {
    finish_piece(out);
    return out.begins_file;
  } else {
    std::string rest = buffer_.substr(length);
    buffer_.resize(length);
    out.bytes = std::move(buffer_);
    buffer_ = std::move(rest);
    at_.rows += static_cast<uint64_t>(std::count(out.bytes.begin(), out.bytes.end(), '\n'));
  }
  at_.offset += length;
  tell_place(out);
  return true;
}

}  // namespace rialto::data
