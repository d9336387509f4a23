// How many rows of a stored embedding are tokens.
#pragma once

#include <optional>
#include <string>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"

namespace rialto::store {

/// What a checkpoint says of its vocabulary, and where it says so.
struct StatedVocabulary {
  int64_t rows = 0;  ///< tokens; rows of the embedding beyond them are padding
  std::string said_by;
};

/// From the manifest's fact `true_vocab` (ours), else `model.vocab_size` of run_config.yaml, which Megatron Bridge pads
/// when it builds the model; none where neither is there. Throws kConfig for a run_config.yaml that is no YAML.
std::optional<StatedVocabulary> stated_vocabulary(const fs::path& iter_dir, const Json& manifest);

}  // namespace rialto::store
