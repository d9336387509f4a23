// Records of a run, a line each.
#include "rialto/train/record_file.h"

#include <string>

#include "rialto/base/error.h"

namespace rialto::train {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Lines to keep, each with its newline.
std::string kept_lines(const fs::path& path, int64_t resumed_iteration) {
  std::string kept;
  if (resumed_iteration <= 0 || !fs::exists(path)) return kept;
  const std::string text = read_text_file(path, uint64_t{4} << 30);
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end - begin);
    Json record;
    try {
      record = parse_json(line, path.string());
    } catch (const Error&) {
      break;  // damaged from here on
    }
    const auto iteration = record.is_object() ? record.find("iteration") : record.end();
    if (iteration == record.end() || !iteration->is_number_integer() || iteration->get<int64_t>() > resumed_iteration)
      break;
    kept += line + "\n";
  }
  return kept;
}

}  // namespace

RecordFile::RecordFile(FileOps& ops, const fs::path& path, int64_t resumed_iteration) : path_(path) {
  const std::string kept = kept_lines(path, resumed_iteration);
  if (path.has_parent_path()) ops.make_dirs(path.parent_path());
  fs::path temporary = path;
  temporary += ".tmp";
  file_ = ops.create(temporary);
  if (!kept.empty()) file_->write(bytes_of(kept));
  file_->sync();
  ops.rename(temporary, path);  // the open file goes on under its new name
}

void RecordFile::append(const Json& record) {
  const std::string line = record.dump() + "\n";
  file_->write(bytes_of(line));
}

void RecordFile::sync() { file_->sync(); }

}  // namespace rialto::train
