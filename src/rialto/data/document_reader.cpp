// Chunk by chunk.
#include "rialto/data/document_reader.h"

namespace rialto::data {

DocumentReader::DocumentReader(const std::vector<TextFile>& files, const TextSource& source, SkipCounts& skipped)
    : source_(source), skipped_(skipped), pieces_(pieces_of(files, {})), chunks_(pieces_, source.json_key) {}

bool DocumentReader::next(std::string& out) {
  while (next_ == parsed_.texts.size()) {
    if (!chunks_.next(chunk_)) return false;
    parsed_ = parse_chunk(chunk_, source_.json_key);
    if (!parsed_.bad.empty()) refuse(parsed_.bad.front());
    files_read_ += parsed_.read ? 1 : 0;
    text_bytes_ += parsed_.text_bytes;
    for (const auto& [reason, count] : parsed_.skipped) skipped_[reason] += count;
    next_ = 0;
  }
  out = std::move(parsed_.texts[next_++]);
  ++documents_;
  return true;
}

}  // namespace rialto::data
