// Which files a TextSource means, in a fixed order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rialto/data/tokenize.h"

namespace rialto::data {

using SkipCounts = std::map<std::string, uint64_t>;  ///< reason -> number

struct TextFile {
  fs::path path;
  uint64_t bytes = 0;
  bool json_lines = false;
};

/// True when the file at `relative` (path inside its input, '/' between parts) belongs to the held-out part.
bool is_held_out(const std::string& relative, int64_t modulo);

/// The files of the source's part, inputs in the given order, each folder in byte order of its relative paths. Files
/// that are left out are counted in `skipped`. Throws kInput for an input that does not exist, kConfig for a wrong
/// modulo.
std::vector<TextFile> list_text_files(const TextSource& source, SkipCounts& skipped);

}  // namespace rialto::data
