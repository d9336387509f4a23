// Packed rows of files in arrays: read once, mapped by every process that needs them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "rialto/data/index_file.h"
#include "rialto/data/packed_row.h"

namespace rialto::data {

/// Bins laid end to end, file after file; spans are of `held`.
struct PackedTokens {
  struct Room {
    int64_t tokens = 0;   ///< that the model is given
    int64_t longest = 0;  ///< of its segments
  };
  HeldArrays held;
  std::vector<fs::path> paths;
  std::span<const int64_t> file_starts;     ///< first bin of each file, and the number of bins
  std::span<const int64_t> starts;          ///< of each bin in `ids` and `mask`, and their number
  std::span<const int64_t> segment_starts;  ///< of each bin in `segments`, and their number
  std::span<const int32_t> ids;
  std::span<const uint8_t> mask;      ///< see PackedRow
  std::span<const int32_t> segments;  ///< where each begins, counted from its bin's first id

  int64_t num_bins() const { return static_cast<int64_t>(starts.size()) - 1; }
  PackedRow bin(int64_t number) const;
  Room room_of(int64_t number) const;
  std::string where(int64_t number) const;  ///< "file row 12", from 0 as readers of parquet count
};

/// The files that a path means: itself, the .parquet and .pq files of a folder, or those that match a pattern, in byte
/// order. Throws kInput when there is none, or one is no packed file.
std::vector<fs::path> packed_files(const std::string& path);

/// Reads them, or takes what an earlier run has kept in the cache's folder for the same bytes. Throws kInput for
/// damaged files, kConfig when there is no bin.
PackedTokens read_packed_tokens(const std::vector<fs::path>& paths, const IndexCache& cache);

}  // namespace rialto::data
