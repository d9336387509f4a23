// train_state.pt and latest_train_state.pt: eight 0-dim tensors, as Megatron Bridge's TrainState.
#pragma once

#include "rialto/base/file_ops.h"
#include "rialto/store/checkpoint.h"

namespace rialto::store {

std::string make_train_state(const CheckpointWriter::TrainState& state);
/// Throws kInput when the file is damaged or lacks `step`.
CheckpointWriter::TrainState read_train_state(const fs::path& path);

}  // namespace rialto::store
