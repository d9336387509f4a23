// The share of one machine among several that work on the same files.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "rialto/data/text_files.h"

namespace rialto::data {

/// Bytes [begin, end) of a file; end is open for files that are taken whole. A line belongs to the piece that its first
/// byte lies in.
struct TextPiece {
  static constexpr uint64_t kToTheEnd = std::numeric_limits<uint64_t>::max();
  TextFile file;
  uint64_t begin = 0, end = kToTheEnd;
};

/// `shard.index` of 1 to `shard.count`: cut by bytes, so that the shards one after the other are all files in their
/// order, every document in exactly one. Only plain JSON lines are cut inside a file; others belong where their first
/// byte lies. Throws kConfig for a wrong shard, and for stdin in more than one.
std::vector<TextPiece> pieces_of(const std::vector<TextFile>& files, const Shard& shard);

/// "" for a single shard, else ".02-of-16": sorts as the shards do.
std::string shard_suffix(const Shard& shard);

}  // namespace rialto::data
