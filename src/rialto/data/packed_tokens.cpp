// Packed files to arrays.
#include "rialto/data/packed_tokens.h"

#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/json.h"
#include "rialto/base/mapped_file.h"
#include "rialto/data/packed_file.h"
#include "rialto/data/text_files.h"

namespace rialto::data {
namespace {

constexpr int kFormat = 1;  ///< raised when the arrays change

struct Built {
  std::vector<int64_t> file_starts{0}, starts{0}, segment_starts{0};
  std::vector<int32_t> ids, segments;
  std::vector<uint8_t> mask;
};

Built build(const std::vector<fs::path>& paths) {
  Built built;
  for (const fs::path& path : paths) {
    read_packed_file(path, [&](const PackedRow& row) {
      if (row.seq_start_id.empty())
        throw Error(ErrorKind::kInput,
                    path.string() + " row " + std::to_string(built.starts.size() - 1 - built.file_starts.back()),
                    "has no tokens");
      built.ids.insert(built.ids.end(), row.input_ids.begin(), row.input_ids.end());
      built.mask.insert(built.mask.end(), row.loss_mask.begin(), row.loss_mask.end());
      built.segments.insert(built.segments.end(), row.seq_start_id.begin(), row.seq_start_id.end());
      built.starts.push_back(static_cast<int64_t>(built.ids.size()));
      built.segment_starts.push_back(static_cast<int64_t>(built.segments.size()));
    });
    built.file_starts.push_back(static_cast<int64_t>(built.starts.size()) - 1);
  }
  if (built.ids.empty()) throw Error(ErrorKind::kConfig, paths.front().string(), "has no packed row to train on");
  return built;
}

std::string key_of(const std::vector<fs::path>& paths) {
  Json hashes = Json::array();
  for (const fs::path& path : paths) hashes.push_back(hash_hex(MappedFile(path).bytes()));
  return Json{{"index", "packed rows"}, {"format", kFormat}, {"files", hashes}}.dump();
}

}  // namespace

PackedRow PackedTokens::bin(int64_t number) const {
  const auto at = static_cast<size_t>(number);
  const auto part = [at](const auto& all, std::span<const int64_t> begins) {
    const auto begin = all.begin() + begins[at];
    return std::vector(begin, all.begin() + begins[at + 1]);
  };
  return {part(ids, starts), part(mask, starts), part(segments, segment_starts)};
}

PackedTokens::Room PackedTokens::room_of(int64_t number) const {
  const auto at = static_cast<size_t>(number);
  const int64_t stored = starts[at + 1] - starts[at];
  const auto begins = segments.subspan(static_cast<size_t>(segment_starts[at]),
                                       static_cast<size_t>(segment_starts[at + 1] - segment_starts[at]));
  Room room{.tokens = stored - static_cast<int64_t>(begins.size())};
  for (size_t s = 0; s < begins.size(); ++s) {
    const int64_t end = s + 1 < begins.size() ? begins[s + 1] : stored;
    room.longest = std::max(room.longest, end - begins[s] - 1);
  }
  return room;
}

std::string PackedTokens::where(int64_t number) const {
  const auto file = std::upper_bound(file_starts.begin(), file_starts.end(), number) - file_starts.begin() - 1;
  return paths[static_cast<size_t>(file)].string() + " row " +
         std::to_string(number - file_starts[static_cast<size_t>(file)]);
}

std::vector<fs::path> packed_files(const std::string& path) {
  TextSource source;
  source.inputs = {path};
  source.include = {".parquet", ".pq"};
  SkipCounts skipped;
  std::vector<fs::path> paths;
  for (const TextFile& file : list_text_files(source, skipped)) {
    if (!is_packed_file(file.path))
      throw Error(ErrorKind::kInput, file.path.string(), "is no file of packed rows",
                  {.got = {}, .want = ".parquet or .npy", .hint = "rialto data pack writes one"});
    paths.push_back(file.path);
  }
  if (paths.empty()) throw Error(ErrorKind::kInput, path, "holds no .parquet file");
  return paths;
}

PackedTokens read_packed_tokens(const std::vector<fs::path>& paths, const IndexCache& cache) {
  PackedTokens tokens;
  tokens.paths = paths;
  const auto make = [&] {
    return hold(build(paths), [](const Built& built) {
      return Arrays{std::as_bytes(std::span(built.file_starts)),    std::as_bytes(std::span(built.starts)),
                    std::as_bytes(std::span(built.segment_starts)), std::as_bytes(std::span(built.ids)),
                    std::as_bytes(std::span(built.segments)),       std::as_bytes(std::span(built.mask))};
    });
  };
  // without a cache nobody needs the key, which costs a pass over the files
  tokens.held =
      cache.folder.empty() ? make() : cached_arrays(cache, paths.front().filename().string(), key_of(paths), make);
  tokens.file_starts = as_array<int64_t>(tokens.held.arrays.at(0));
  tokens.starts = as_array<int64_t>(tokens.held.arrays.at(1));
  tokens.segment_starts = as_array<int64_t>(tokens.held.arrays.at(2));
  tokens.ids = as_array<int32_t>(tokens.held.arrays.at(3));
  tokens.segments = as_array<int32_t>(tokens.held.arrays.at(4));
  tokens.mask = as_array<uint8_t>(tokens.held.arrays.at(5));
  return tokens;
}

}  // namespace rialto::data
