// rialto_source/: what an exact write-back to Hugging Face needs, kept inside every iteration.
#pragma once

#include "rialto/store/checkpoint.h"

namespace rialto::checkpoint {

/// Copies config.json, companion files and the shard layout of a HF folder.
void add_source_files(store::CheckpointWriter& writer, const fs::path& hf_dir);
/// Copies rialto_source/ of an earlier iteration, if it has one.
void carry_source_files(store::CheckpointWriter& writer, const fs::path& iter_dir);

}  // namespace rialto::checkpoint
