// manifest.json: what every file and every tensor chunk of a checkpoint must hash to. Format: docs/checkpoint.md.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/base/progress.h"
#include "rialto/store/data_files.h"

namespace rialto::store {

/// The text of manifest.json; its last line holds the hash of everything before it.
std::string make_manifest(int64_t iteration, const Json& facts, const std::vector<FileRecord>& files,
                          const std::deque<ChunkRecord>& chunks);

/// Parses a manifest after checking its own hash. Throws kInput on damage or an unknown version.
Json parse_manifest(std::string_view text, const std::string& where);

/// A chunk of the manifest, found by where its elements lie.
struct ManifestChunk {
  std::string key, hash;
  uint64_t length = 0;
};
std::map<std::pair<std::string, uint64_t>, ManifestChunk> manifest_chunks(const Json& manifest,
                                                                          const std::string& where);

/// Every listed file is there with its size, and the small ones with their hash. Throws kInput naming the file.
void check_manifest_files(const Json& manifest, const fs::path& iter_dir);

/// Hashes every listed file. A damaged data file is narrowed down to its tensors. Throws kInput naming tensor and file.
void check_manifest_hashes(const Json& manifest, const fs::path& iter_dir, Progress& progress);

/// XXH3-128 of a range of a file, read in blocks.
std::string hash_range(const ReadFile& file, uint64_t begin, uint64_t length);

}  // namespace rialto::store
