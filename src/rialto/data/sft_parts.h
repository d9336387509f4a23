// Which files of a folder of fine-tuning rows are training, validation and test.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::data {

enum class Part { kTrain, kValid, kTest };

/// The files of a part, in the order in which their rows count; none where the folder has no such part. In this order:
/// 1. training.X, validation.X, test.X, as Megatron Bridge names them (X: jsonl, jsonl.gz, jsonl.zst or parquet);
/// 2. what README.md names under `configs:` between its first lines of ---, as dataset cards on the Hugging Face hub
/// do;
///    `subset` chooses among several (a default one needs no choice);
/// 3. files whose names begin with a split's (train, validation, valid, val, dev, test), in the folder or in data/:
///    data/train-00000-of-00002.parquet and so on, the names that the hub's tools write.
/// Throws kInput when the folder has both kinds of one part, when a pattern of README.md matches nothing or leaves the
/// folder, or parts of a split (-00000-of-00002) are missing; kConfig for an unknown subset.
std::vector<fs::path> part_files(const fs::path& root, Part part, const std::string& subset);

}  // namespace rialto::data
