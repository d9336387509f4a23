// Checks on destinations, and the temporary folder that becomes one.
#include "rialto/convert/destination.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/store/checkpoint.h"

namespace rialto::convert {
namespace {

fs::path resolved_path(const fs::path& path) {
  fs::path whole = fs::weakly_canonical(fs::absolute(path)).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

bool contains(const fs::path& outer, const fs::path& inner) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

void refuse_nested(const fs::path& source, const fs::path& destination, std::string_view what) {
  const fs::path from = resolved_path(source), to = resolved_path(destination);
  if (from == to) throw Error(ErrorKind::kConfig, destination.string(), fmt::format("the destination is the {}", what));
  if (contains(from, to))
    throw Error(ErrorKind::kConfig, destination.string(), fmt::format("the destination lies inside the {}", what),
                {.got = to.string()});
  if (contains(to, from))
    throw Error(ErrorKind::kConfig, destination.string(), fmt::format("the {} lies inside the destination", what),
                {.got = from.string()});
}

}  // namespace

void check_destination(const fs::path& source, const fs::path& destination, bool overwrite,
                       const std::optional<fs::path>& like) {
  refuse_nested(source, destination, "source");
  if (like) refuse_nested(*like, destination, "folder given by --like");
  if (!fs::exists(destination)) return;
  if (!fs::is_directory(destination))
    throw Error(ErrorKind::kConfig, destination.string(), "the destination is a file",
                {.want = "a folder, or nothing"});
  if (fs::is_empty(destination)) return;
  if (!overwrite)
    throw Error(ErrorKind::kConfig, destination.string(), "the destination is not empty",
                {.hint = "--overwrite replaces it once the new one is complete"});
  if (!hub::is_hf_directory(destination) && !store::is_native_checkpoint(destination))
    throw Error(ErrorKind::kConfig, destination.string(),
                "the destination holds neither a model nor a checkpoint; it is not overwritten",
                {.hint = "remove it yourself if it may go"});
}

void check_room(const fs::path& destination, uint64_t bytes, std::vector<std::string>* notices) {
  fs::path existing = resolved_path(destination);
  while (!fs::exists(existing) && existing.has_parent_path() && existing != existing.parent_path())
    existing = existing.parent_path();
  std::error_code error;
  const fs::space_info space = fs::space(existing, error);
  if (error || space.available >= bytes) return;
  const uint64_t free_mib = space.available >> 20, want_mib = (bytes >> 20) + 1;
  if (notices) {
    notices->push_back(
        fmt::format("the output takes {} MiB; {} has {} MiB free", want_mib, existing.string(), free_mib));
    return;
  }
  throw Error(ErrorKind::kIo, destination.string(), "not enough space",
              {.got = fmt::format("{} MiB free", free_mib), .want = fmt::format("{} MiB", want_mib)});
}

Staging::Staging(FileOps& ops, const fs::path& destination, bool replace)
    : ops_(ops), destination_(resolved_path(destination)), replace_(replace) {
  temporary_ = destination_.parent_path() / (".tmp." + destination_.filename().string());
  if (fs::exists(temporary_)) ops_.remove_all(temporary_);  // left by a conversion that was killed
  ops_.make_dirs(temporary_);
}

Staging::~Staging() {
  if (committed_) return;
  try {
    ops_.remove_all(temporary_);
  } catch (const Error&) {
    // Its name says that it is temporary, and the next conversion to the same place removes it.
  }
}

void Staging::commit() {
  ops_.sync_dir(temporary_);
  const bool replaces = fs::exists(destination_) && !fs::is_empty(destination_);
  if (replaces && !replace_)
    throw Error(ErrorKind::kConfig, destination_.string(), "something has appeared here meanwhile");
  if (replaces)
    ops_.exchange(temporary_, destination_);
  else
    ops_.rename(temporary_, destination_);
  committed_ = true;
  ops_.sync_dir(destination_.parent_path());
  if (replaces) ops_.remove_all(temporary_);
}

}  // namespace rialto::convert
