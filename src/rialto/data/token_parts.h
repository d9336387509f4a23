// What a long tokenizing run has finished: a folder of .bin/.idx pairs that a run after it goes on from.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/data/bad_rows.h"
#include "rialto/formats/indexed_dataset.h"
#include "rialto/hub/file_lock.h"

namespace rialto::data {

struct PartCounts {
  uint64_t documents = 0, files = 0, text_bytes = 0;
  SkipCounts skipped = {}, bad = {};  ///< bad: rows by kind

  PartCounts& operator+=(const PartCounts& other);
};

/// PREFIX.parts/: plan.json (what the parts are of), and for each part its pair, NNNNNN.bad (quarantined rows) and,
/// last, NNNNNN.json (its counts, and where reading goes on).
class TokenParts {
 public:
  /// Goes on with the folder's parts when they are of this `plan`; begins a new folder when there is none, or when
  /// `overwrite` and the plan is another. Throws kConfig for another plan, and when another process holds the folder.
  TokenParts(FileOps& ops, const fs::path& prefix, const Json& plan, bool overwrite);

  /// True when a run to `prefix` has begun and not ended.
  static bool exist(const fs::path& prefix);

  size_t count() const { return count_; }
  ReadPosition position() const { return position_; }
  const PartCounts& counts() const { return counts_; }
  fs::path prefix_of(size_t part) const;
  fs::path bad_rows_of(size_t part) const;
  /// The pair and the bad rows of part `count()` are on disk; now it counts.
  void commit(const PartCounts& counts, const ReadPosition& after);
  /// Takes the folder away.
  void remove();

 private:
  void begin(const Json& plan);
  void read_parts();
  fs::path file_of(size_t part, const char* ending) const;

  FileOps& ops_;
  fs::path folder_;
  std::unique_ptr<hub::FileLock> lock_;
  size_t count_ = 0;
  ReadPosition position_;
  PartCounts counts_;
};

/// The part that is being written.
class PartWriter {
 public:
  /// `next` is the number of the part among `parts`.
  PartWriter(FileOps& ops, TokenParts& parts, int64_t vocab);
  void add_document(std::span<const int32_t> tokens) { tokens_.add_document(tokens); }
  void add_bad(const BadRow& row);
  PartCounts& counts() { return counts_; }
  /// Everything to disk; the part is finished.
  void finish(const ReadPosition& after);

 private:
  TokenParts& parts_;
  formats::IndexedDatasetWriter tokens_;
  std::unique_ptr<WriteFile> bad_;
  PartCounts counts_;
};

}  // namespace rialto::data
