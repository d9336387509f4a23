// Fetching one file of a model into the cache: resumable, checked, by one process at a time.
#pragma once

#include <functional>

#include "rialto/hub/hub_cache.h"
#include "rialto/hub/hub_client.h"

namespace rialto::hub {

/// What a download tells while it runs; called from the thread that downloads.
struct DownloadEvents {
  std::function<void(uint64_t bytes)> on_bytes;  ///< of this file, so many are here now
  std::function<void(const std::string&)> on_notice;
  std::function<void()> check;  ///< throws when the work shall stop
};

/// Sees to it that blob and snapshot link of `file` exist. Bytes gather in blobs/ETAG.incomplete, which a later call
/// goes on with; size and SHA-256 are checked before the blob gets its name. Broken connections are tried again, for as
/// long as bytes arrive. Throws kInput when what comes is not what the server announced, kIo, and what `check` throws.
void download_file(const HubClient& client, const HubCache& cache, const std::string& commit, const RemoteFile& file,
                   FileOps& ops, const DownloadEvents& events);

}  // namespace rialto::hub
