// From what a user names as a model to a folder on this machine.
#pragma once

#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/base/progress.h"

namespace rialto::hub {

enum class Want : uint8_t {
  kModel,
  kOutline,  ///< of a sharded model config.json and index are enough: what a dry run needs
};

/// `model`: a path that exists, which is given back as it is; or a hub id, ORG/NAME or ORG/NAME@REVISION, whose
/// snapshot in the Hub's cache is given back after what it lacks was fetched. A revision that is in the cache keeps its
/// commit, and a complete snapshot needs no request. Anything else is given back too, for the caller to refuse.
/// `revision`: overrides that of the id; "" for none. Throws kUsage when it is given for a path; kInput and kIo with
/// what is missing or refused, kConfig.
fs::path local_model(const std::string& model, const std::string& revision, FileOps& ops, Progress* progress,
                     Want want = Want::kModel);

}  // namespace rialto::hub
