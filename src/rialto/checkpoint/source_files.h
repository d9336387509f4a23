// rialto_source/: what an exact write-back to Hugging Face needs, kept inside every iteration.
#pragma once

#include "rialto/store/checkpoint.h"

namespace rialto::checkpoint {

/// Copies config.json, companion files and the shard layout of a HF folder.
void add_source_files(store::CheckpointWriter& writer, const fs::path& hf_dir);
/// Copies rialto_source/ of an earlier iteration; false when it has none.
bool carry_source_files(store::CheckpointWriter& writer, const fs::path& iter_dir);
/// For a model that came from nowhere: the config.json that its description gives, and the tokenizer's files.
void add_tokenizer_files(store::CheckpointWriter& writer, const spec::ModelSpec& model, const fs::path& tokenizer);

}  // namespace rialto::checkpoint
