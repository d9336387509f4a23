// Which files a TextSource means, in a fixed order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rialto/data/tokenize.h"
#include "rialto/formats/compressed.h"

namespace rialto::data {

using SkipCounts = std::map<std::string, uint64_t>;  ///< reason -> number

struct TextFile {
  fs::path path;
  uint64_t bytes = 0;  ///< on disk
  enum class Form { kText, kJsonLines, kParquet } form = Form::kText;
  std::optional<formats::Compression> compression = {};
  bool is_stdin() const { return path == "-"; }
};

/// By the file's name: .jsonl is JSON lines, .parquet parquet, anything else text; .gz and .zst behind that are
/// unpacked. "-" is stdin, JSON lines.
TextFile text_file(const fs::path& path, uint64_t bytes);

/// True when the file at `relative` (path inside its input, '/' between parts) belongs to the held-out part.
bool is_held_out(const std::string& relative, int64_t modulo);

/// The files of the source's part, inputs in the given order, each folder in byte order of its relative paths. An input
/// that is no file but a pattern (* ? [...]) stands for what it matches, in byte order. Files that are left out are
/// counted in `skipped`. Throws kInput for an input that does not exist, kConfig for a wrong modulo.
std::vector<TextFile> list_text_files(const TextSource& source, SkipCounts& skipped);

}  // namespace rialto::data
