// A chunk's documents.
#pragma once

#include <string>
#include <vector>

#include "rialto/data/bad_rows.h"

namespace rialto::data {

struct ParsedChunk {
  std::vector<std::string> texts;  ///< UTF-8, none empty, in order
  std::vector<BadRow> bad;
  SkipCounts skipped = {};
  uint64_t text_bytes = 0;
  bool read = false;  ///< a text file that is not UTF-8 is left out, and counts as not read
};

/// Thread-safe. `json_key`: of the text in JSON lines. Blank lines are passed over; empty texts, and text files that
/// are not UTF-8, are counted in `skipped`.
ParsedChunk parse_chunk(const TextChunk& chunk, const std::string& json_key);

}  // namespace rialto::data
