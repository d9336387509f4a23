// Walks the inputs of a TextSource.
#include "rialto/data/text_files.h"

#include <algorithm>
#include <set>
#include <system_error>

#include <glob.h>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"

namespace rialto::data {
namespace {

constexpr const char* kWhere = "data";

bool has_suffix(const std::string& name, const std::vector<std::string>& suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](const std::string& s) { return name.ends_with(s); });
}

/// Relative paths of everything below `root` that is not a folder, sorted. Links to folders are not followed.
std::vector<std::string> walk(const fs::path& root, const std::set<std::string>& excluded, SkipCounts& skipped) {
  std::vector<std::string> found;
  try {
    for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator(); ++it) {
      if (it->is_directory()) {
        if (excluded.contains(it->path().filename().string())) {
          it.disable_recursion_pending();
          ++skipped["excluded folder"];
        }
        continue;
      }
      found.push_back(it->path().lexically_relative(root).generic_string());
    }
  } catch (const fs::filesystem_error& e) {
    throw Error(ErrorKind::kIo, root.string(), "cannot be walked: " + e.code().message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Counts the reason and returns false when the source's part does not hold this file.
bool in_part(const std::string& relative, const TextSource& source, SkipCounts& skipped) {
  if (source.part == TextSource::Part::kAll) return true;
  const bool held_out = is_held_out(relative, source.held_out_modulo);
  if (held_out == (source.part == TextSource::Part::kHeldOut)) return true;
  ++skipped[held_out ? "held-out part" : "training part"];
  return false;
}

void add_file(const fs::path& path, const std::string& relative, const TextSource& source, std::vector<TextFile>& out,
              SkipCounts& skipped) {
  if (!fs::is_regular_file(path)) {
    ++skipped["not a regular file"];
    return;
  }
  if (!in_part(relative, source, skipped)) return;
  out.push_back(text_file(path, fs::file_size(path)));
}

/// What a pattern matches, in byte order; an input that exists or is no pattern is itself.
std::vector<fs::path> matches(const fs::path& input) {
  if (input == "-" || fs::exists(input) || input.string().find_first_of("*?[") == std::string::npos) return {input};
  glob_t found{};
  std::vector<fs::path> paths;
  if (::glob(input.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (paths.empty()) throw Error(ErrorKind::kInput, input.string(), "matches nothing");
  std::sort(paths.begin(), paths.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return paths;
}

/// One input: a file, a folder, or "-".
void add_input(const fs::path& input, const TextSource& source, const std::set<std::string>& excluded,
               std::vector<TextFile>& files, SkipCounts& skipped) {
  const std::vector<std::string>& suffixes = source.include.empty() ? default_suffixes() : source.include;
  if (input == "-") {
    files.push_back(text_file(input, 0));
    return;
  }
  if (!fs::exists(input)) throw Error(ErrorKind::kInput, input.string(), "does not exist");
  if (!fs::is_directory(input)) {
    add_file(input, input.filename().string(), source, files, skipped);
    return;
  }
  for (const std::string& relative : walk(input, excluded, skipped)) {
    if (has_suffix(relative, suffixes)) {
      add_file(input / relative, relative, source, files, skipped);
    } else {
      ++skipped["other suffix"];
    }
  }
}

/// Text that is read twice weighs twice, which nothing would tell later.
void refuse_repeated(const std::vector<TextFile>& files) {
  std::set<std::string> seen;
  for (const TextFile& file : files)
    if (!seen.insert(fs::absolute(file.path).lexically_normal().string()).second)
      throw Error(ErrorKind::kConfig, file.path.string(), "is among the inputs twice",
                  {.hint = "name it once; dataset.data_path gives a source more weight"});
}

}  // namespace

const std::vector<std::string>& default_suffixes() {
  static const std::vector<std::string> suffixes{".txt",       ".md",     ".rst",     ".py",     ".c",
                                                 ".h",         ".cc",     ".cpp",     ".jsonl",  ".jsonl.gz",
                                                 ".jsonl.zst", ".txt.gz", ".txt.zst", ".parquet"};
  return suffixes;
}

TextFile text_file(const fs::path& path, uint64_t bytes) {
  TextFile file{.path = path, .bytes = bytes, .compression = formats::compression_of(path)};
  const fs::path ending = file.compression ? path.stem().extension() : path.extension();
  if (ending == ".jsonl" || path == "-") file.form = TextFile::Form::kJsonLines;
  if (ending == ".parquet" && !file.compression) file.form = TextFile::Form::kParquet;
  return file;
}

bool is_held_out(const std::string& relative, int64_t modulo) {
  if (modulo == 0) return false;
  return crc32(0, std::as_bytes(std::span(relative))) % static_cast<uint64_t>(modulo) == 0;
}

std::vector<TextFile> list_text_files(const TextSource& source, SkipCounts& skipped) {
  const bool split = source.part != TextSource::Part::kAll;
  if (split != (source.held_out_modulo != 0) || source.held_out_modulo < 0 || source.held_out_modulo == 1) {
    throw Error(ErrorKind::kConfig, kWhere,
                "a part of the corpus needs a held-out modulo of at least 2, and the other way round",
                {.got = std::to_string(source.held_out_modulo)});
  }
  if (source.inputs.empty()) throw Error(ErrorKind::kUsage, kWhere, "no input given");
  const std::set<std::string> excluded(source.exclude_dirs.begin(), source.exclude_dirs.end());
  std::vector<TextFile> files;
  for (const fs::path& input : source.inputs)
    for (const fs::path& path : matches(input)) add_input(path, source, excluded, files, skipped);
  refuse_repeated(files);
  return files;
}

}  // namespace rialto::data
