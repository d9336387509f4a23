// Tokenised rows to a file of packed rows, outside the training job.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"
#include "rialto/data/packed_row.h"
#include "rialto/data/packing.h"

namespace rialto::data {

/// What happens to a row that takes more room than a bin has.
enum class LongRows { kRefuse, kCut, kDrop };

struct PackOptions {
  fs::path output;         ///< a .parquet file
  fs::path metadata = {};  ///< Bridge's list of what was packed, appended to; empty: none
  int64_t size = 0;        ///< room of a bin, in tokens that the model is given
  PackAlgorithm algorithm = PackAlgorithm::kFirstFitDecreasing;
  uint64_t seed = 0;
  int64_t multiple = 1;  ///< what a segment's room is a multiple of, see padding_multiple()
  int32_t pad = 0;
  LongRows long_rows = LongRows::kRefuse;
  bool overwrite = false;
};

/// Takes rows as they come and keeps them in a hidden file beside the output, so that memory is 16 bytes a row. The
/// output appears under its name when it is complete.
class RowPacker {
 public:
  /// Throws kConfig for an output that exists or sizes that make no sense.
  RowPacker(PackOptions options, FileOps& ops);
  ~RowPacker();
  RowPacker(const RowPacker&) = delete;
  RowPacker& operator=(const RowPacker&) = delete;

  /// Throws kInput naming `where` for a row of fewer than two tokens, negative ids, a mask of another length or with
  /// other values than 0 and 1, and a row that is too long where those are refused.
  void add(TokenRow row, const std::string& where);

  /// Packs and writes. Returns {"output", "rows", "bins", "tokens" (rooms taken), "cut", "dropped", "metadata": {what
  /// Bridge writes}}. Throws kInput when there was no row.
  Json finish(Progress& told);

 private:
  TokenRow read(std::span<const std::byte> spool, size_t row) const;

  PackOptions options_;
  FileOps& ops_;
  fs::path spool_path_;
  std::unique_ptr<WriteFile> spool_;
  std::string buffer_;
  std::vector<uint64_t> ends_;  ///< of the rows in the spool, in tokens
  std::vector<int32_t> rooms_;
  uint64_t cut_ = 0, dropped_ = 0;
};

/// Files that are packed already (see packed_file.h) as one parquet file; nothing is packed anew. Returns {"output",
/// "bins", "segments", "tokens"}.
Json copy_packed(const std::vector<fs::path>& inputs, const fs::path& output, bool overwrite, FileOps& ops,
                 Progress& told);

}  // namespace rialto::data
