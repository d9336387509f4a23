// Where output goes: refused when something would be lost, built beside its place, put there at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::convert {

/// Throws kConfig when `destination` is a file, is or contains or lies in `source` (or `like`), holds something without
/// `overwrite`, or holds something with `overwrite` that is neither a model nor a checkpoint.
void check_destination(const fs::path& source, const fs::path& destination, bool overwrite,
                       const std::optional<fs::path>& like);

/// The file system of `destination` has less room than `bytes`: throws kIo, or says so in `notices` (a dry run).
void check_room(const fs::path& destination, uint64_t bytes, std::vector<std::string>* notices);

/// A folder `.tmp.NAME` beside NAME. Without commit() it is removed and NAME is as it was.
class Staging {
 public:
  /// `replace`: what is at `destination` when commit() is called may go.
  Staging(FileOps& ops, const fs::path& destination, bool replace);
  ~Staging();
  const fs::path& path() const { return temporary_; }
  /// Syncs the folder and gives it its name; what was there before is removed afterwards.
  void commit();

 private:
  FileOps& ops_;
  fs::path destination_, temporary_;
  bool replace_;
  bool committed_ = false;
};

}  // namespace rialto::convert
