// The functions behind convert, verify and inspect.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"

namespace rialto::convert {

enum class Target { kAuto, kMegatron, kHf };

struct ConvertOptions {
  fs::path source, destination;
  Target to = Target::kAuto;   ///< kAuto: the other kind than the source
  std::optional<DType> dtype;  ///< cast weights; default: as stored
  bool fp8_blocks = false;     ///< to HF: projections as FP8 codes with a scale per 128 x 128 block
  bool overwrite = false;
  bool dry_run = false;              ///< plan and proof only; no tensor bytes read, nothing written
  std::optional<fs::path> like;      ///< HF folder whose config, tokenizer and shard layout an export takes
  std::optional<int64_t> iteration;  ///< of a native source; default: what find_checkpoint finds
};

/// What was done, for people (`to_text`) and programs (`to_json`).
struct ConvertReport {
  std::string family, architecture, from, to;
  fs::path source, destination;
  uint64_t num_tensors_in = 0, num_tensors_out = 0, num_pieces = 0, parameters = 0;
  uint64_t bytes_read = 0, bytes_written = 0;
  uint64_t rounded_values = 0;       ///< changed irreversibly by --dtype
  std::vector<std::string> ignored;  ///< HF tensors not converted, with the reason
  std::vector<std::string> notices;
  bool dry_run = false;
  bool names_only = false;  ///< a dry run found no header of some shards: only the names of their tensors are proven
  double seconds = 0;
};
Json to_json(const ConvertReport& report);
std::string to_text(const ConvertReport& report);

/// Converts one way or the other. Proves completeness before any byte moves; writes to a temporary name and renames.
/// A refused or failed call leaves no half-written output and an old destination as it was.
/// Throws kConfig (destination not empty, inside the source), kInput, kShape, kIo.
ConvertReport convert(const ConvertOptions& options, FileOps& ops, Progress* progress);

struct VerifyOptions {
  fs::path a, b;
  std::optional<uint64_t> max_ulp;  ///< default: bit for bit
  std::optional<double> rtol;
};
struct Difference {
  std::string tensor, kind, detail;  ///< kind: "differs", "missing", "extra", "shape", "dtype", "config"
};
struct VerifyReport {
  std::string kind_a, kind_b, family;
  uint64_t compared = 0, equal = 0;
  std::vector<Difference> differences;
  std::vector<std::string> notices;
};
Json to_json(const VerifyReport& report);
std::string to_text(const VerifyReport& report);
/// Compares any two of {HF, native} in HF names, tensor by tensor. Manifest hashes are checked on the way.
VerifyReport verify(const VerifyOptions& options, Progress* progress);

/// kind, family, parameters, dtypes, shards, recorded hashes, training state. `hash`: recompute every hash and compare.
Json inspect(const fs::path& path, bool hash, Progress* progress);
std::string inspect_to_text(const Json& report);

}  // namespace rialto::convert
