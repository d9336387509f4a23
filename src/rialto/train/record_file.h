// A run's records, one JSON object a line (metrics.jsonl, ledger.jsonl); on resume what lies after the resumed
// iteration is cut off first.
#pragma once

#include <memory>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::train {

class RecordFile {
 public:
  /// Keeps the whole lines of an existing file whose "iteration" is at most `resumed_iteration` (0: a new run keeps
  /// nothing); a line cut short by a crash is dropped. The file under `path` is replaced in one step.
  RecordFile(FileOps& ops, const fs::path& path, int64_t resumed_iteration);
  void append(const Json& record);
  void sync();
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::unique_ptr<WriteFile> file_;
};

}  // namespace rialto::train
