// Writing, parsing and checking manifest.json.
#include "rialto/store/manifest.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/version.h"
#include "rialto/store/names.h"

namespace rialto::store {
namespace {

constexpr int kVersion = 1;
constexpr size_t kBlockBytes = 256u << 10;
constexpr uint64_t kSmallFile = 16u << 20;  ///< checked by hash whenever a checkpoint is opened
constexpr std::string_view kSelfLine = "\"self\": \"";

[[noreturn]] void damaged(const std::string& where, std::string_view what, const ErrorParts& parts = {}) {
  throw Error(ErrorKind::kInput, where, what, parts);
}

std::string_view text_of(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (!object.is_object() || found == object.end() || !found->is_string())
    damaged(where, fmt::format("the manifest has an entry without a text '{}'", key));
  return found->get_ref<const std::string&>();
}

uint64_t number_of(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (!object.is_object() || found == object.end() || !found->is_number_unsigned())
    damaged(where, fmt::format("the manifest has an entry without a number '{}'", key));
  return found->get<uint64_t>();
}

const Json& list_of(const Json& manifest, const char* key, const std::string& where) {
  const auto found = manifest.find(key);
  if (found == manifest.end() || !found->is_array()) damaged(where, fmt::format("the manifest has no list '{}'", key));
  return *found;
}

struct Listed {
  std::string path, hash;
  uint64_t size = 0;
};

std::vector<Listed> listed_files(const Json& manifest, const std::string& where) {
  std::vector<Listed> files;
  for (const Json& entry : list_of(manifest, "files", where)) {
    Listed file{std::string(text_of(entry, "path", where)), std::string(text_of(entry, "xxh3_128", where)),
                number_of(entry, "size", where)};
    if (!is_inside(file.path))
      damaged(where, fmt::format("the manifest names a file outside its folder: '{}'", file.path));
    files.push_back(std::move(file));
  }
  return files;
}

/// The tensors of a data file whose elements do not hash to what was recorded.
std::vector<std::string> damaged_tensors(const Json& manifest, const ReadFile& file, const std::string& name,
                                         const std::string& where) {
  std::vector<std::string> keys;
  for (const auto& [place, chunk] : manifest_chunks(manifest, where))
    if (place.first == name && hash_range(file, place.second, chunk.length) != chunk.hash) keys.push_back(chunk.key);
  return keys;
}

}  // namespace

std::string make_manifest(int64_t iteration, const Json& facts, const std::vector<FileRecord>& files,
                          const std::deque<ChunkRecord>& chunks) {
  const Json writer = fmt::format("rialto {}", version());
  std::string text = fmt::format(
      "{{\n\"format\": \"rialto-manifest\",\n\"version\": {},\n\"writer\": {},\n\"iteration\": {},\n\"facts\": {},\n",
      kVersion, writer.dump(), iteration, facts.dump());
  text += "\"files\": [";
  std::string_view comma = "\n";
  for (const FileRecord& file : files) {
    text += comma;
    text += Json{{"path", file.path}, {"size", file.size}, {"xxh3_128", file.hash}}.dump();
    comma = ",\n";
  }
  text += "\n],\n\"chunks\": [";
  comma = "\n";
  for (const ChunkRecord& chunk : chunks) {
    text += comma;
    text += Json{{"key", chunk.key},
                 {"file", chunk.archive.file},
                 {"offset", chunk.offset},
                 {"length", chunk.length},
                 {"dtype", torch_name(chunk.dtype)},
                 {"shape", chunk.shape},
                 {"at", chunk.offsets},
                 {"sizes", chunk.sizes},
                 {"xxh3_128", chunk.hash}}
                .dump();
    comma = ",\n";
  }
  text += "\n],\n";
  const std::string self = hash_hex(std::as_bytes(std::span(text)));
  text += fmt::format("{}{}\"}}\n", kSelfLine, self);
  return text;
}

Json parse_manifest(std::string_view text, const std::string& where) {
  const size_t line = text.rfind(kSelfLine);
  if (line == std::string_view::npos || line == 0 || text[line - 1] != '\n')
    damaged(where, "the manifest is cut off: it has no last line \"self\"");
  const std::string want = hash_hex(std::as_bytes(std::span(text.substr(0, line))));
  const std::string_view got = text.substr(line + kSelfLine.size());
  if (got != want + "\"}\n")
    damaged(where, "the manifest is damaged: its own hash does not match",
            {.got = std::string(got.substr(0, 32)), .want = want});
  Json manifest = parse_json(text, where);
  const auto version = manifest.find("version");
  if (version == manifest.end() || *version != kVersion)
    damaged(where, "unknown manifest version",
            {.got = version == manifest.end() ? "none" : version->dump(), .want = std::to_string(kVersion)});
  return manifest;
}

std::map<std::pair<std::string, uint64_t>, ManifestChunk> manifest_chunks(const Json& manifest,
                                                                          const std::string& where) {
  std::map<std::pair<std::string, uint64_t>, ManifestChunk> chunks;
  for (const Json& entry : list_of(manifest, "chunks", where))
    chunks[{std::string(text_of(entry, "file", where)), number_of(entry, "offset", where)}] = {
        std::string(text_of(entry, "key", where)), std::string(text_of(entry, "xxh3_128", where)),
        number_of(entry, "length", where)};
  return chunks;
}

void check_manifest_files(const Json& manifest, const fs::path& iter_dir) {
  const std::string where = (iter_dir / kManifest).string();
  for (const Listed& listed : listed_files(manifest, where)) {
    const fs::path path = iter_dir / listed.path;
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error)
      damaged(path.string(), "listed in the manifest, but missing", {.hint = "was the checkpoint copied completely?"});
    if (size != listed.size)
      damaged(path.string(), "size differs from the manifest",
              {.got = fmt::format("{} bytes", size), .want = fmt::format("{}", listed.size)});
    if (size > kSmallFile || listed.path.ends_with(".distcp")) continue;
    const std::string hash = hash_range(ReadFile(path), 0, size);
    if (hash != listed.hash)
      damaged(path.string(), "damaged: hash differs from the manifest", {.got = hash, .want = listed.hash});
  }
}

void check_manifest_hashes(const Json& manifest, const fs::path& iter_dir, Progress& progress) {
  const std::string where = (iter_dir / kManifest).string();
  const std::vector<Listed> files = listed_files(manifest, where);
  uint64_t total = 0, done = 0;
  for (const Listed& listed : files) total += listed.size;
  progress.begin("hash", total, "bytes");
  for (const Listed& listed : files) {
    const ReadFile file(iter_dir / listed.path);
    if (file.size() != listed.size) damaged(file.path().string(), "size differs from the manifest");
    Hasher hash;
    std::vector<std::byte> block(std::min<uint64_t>(kBlockBytes, std::max<uint64_t>(listed.size, 1)));
    for (uint64_t at = 0; at < listed.size;) {
      const std::span part(block.data(), static_cast<size_t>(std::min<uint64_t>(block.size(), listed.size - at)));
      file.read_at(at, part);
      hash.update(part);
      at += part.size();
      done += part.size();
      progress.update(done);
      check_cancelled(progress, iter_dir.string());
    }
    if (hash.hex() == listed.hash) continue;
    const std::vector<std::string> keys = damaged_tensors(manifest, file, listed.path, where);
    if (keys.empty())
      damaged(file.path().string(), "damaged: hash differs from the manifest",
              {.got = hash.hex(), .want = listed.hash});
    damaged(file.path().string(),
            fmt::format("tensor '{}' is damaged{}: its hash differs from the manifest", keys.front(),
                        keys.size() > 1 ? fmt::format(" (and {} more)", keys.size() - 1) : ""));
  }
  progress.end();
}

std::string hash_range(const ReadFile& file, uint64_t begin, uint64_t length) {
  if (begin > file.size() || length > file.size() - begin)
    damaged(file.path().string(), "ends before what the manifest lists",
            {.got = fmt::format("{} bytes", file.size()), .want = fmt::format("{}", begin + length)});
  Hasher hash;
  std::vector<std::byte> block(static_cast<size_t>(std::min<uint64_t>(kBlockBytes, std::max<uint64_t>(length, 1))));
  for (uint64_t at = 0; at < length;) {
    const std::span part(block.data(), static_cast<size_t>(std::min<uint64_t>(block.size(), length - at)));
    file.read_at(begin + at, part);
    hash.update(part);
    at += part.size();
  }
  return hash.hex();
}

}  // namespace rialto::store
