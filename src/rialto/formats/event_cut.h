// Takes events out of TensorBoard's files: what a run told after the checkpoint that it goes on from.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::formats {

/// Of every event file in `folder`, keeps the events without a scalar and those for which `keep` says so; what follows
/// a damaged record (a crash cuts the last one short) goes. Each file is replaced in one step, or left as it is.
void cut_event_files(FileOps& ops, const fs::path& folder,
                     const std::function<bool(std::string_view tag, int64_t step)>& keep);

}  // namespace rialto::formats
