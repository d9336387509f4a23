// One model's folder in the Hub's cache: models--ORG--NAME/{refs,snapshots,blobs}, laid out as huggingface_hub does, so
// that both share files. Source: huggingface_hub, file_download.py.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/hub/hub_id.h"

namespace rialto::hub {

class HubCache {
 public:
  HubCache(const fs::path& cache, const HubId& id);

  const fs::path& folder() const { return folder_; }
  fs::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  fs::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  /// The lock that whoever fetches that blob holds.
  fs::path lock_path(const std::string& etag) const;

  /// The commit that a revision means: itself, or what was recorded for it.
  std::optional<std::string> find_commit(const std::string& revision) const;
  void record_commit(FileOps& ops, const std::string& revision, const std::string& commit) const;

  /// The files that a complete snapshot has, recorded once all of them were there; none: not known.
  std::optional<std::vector<std::string>> recorded_files(const std::string& commit) const;
  void record_files(FileOps& ops, const std::string& commit, const std::vector<std::string>& files) const;

  /// Makes snapshot/`file` a link to the blob, replacing what is there.
  void link(FileOps& ops, const std::string& commit, const std::string& file, const std::string& etag) const;

  /// What a snapshot lacks: of the recorded files, else of what a model needs (config, the weights its index names).
  std::vector<std::string> missing_files(const std::string& commit) const;

 private:
  fs::path cache_, folder_;
};

/// The weight files among `names`: those of one set, safetensors before pickles, an unsharded file before a sharded
/// one. `index_files` gives the shards that an index names. Empty: there are no weights.
std::vector<std::string> weight_files(
    const std::vector<std::string>& names,
    const std::function<std::vector<std::string>(const std::string& index)>& index_files);
/// The shard files that an index names, in order. Throws kInput on names that are no plain file names.
std::vector<std::string> shards_of_index(const fs::path& index);

}  // namespace rialto::hub
