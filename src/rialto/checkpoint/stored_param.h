// One parameter of a native checkpoint, readable by element range.
#pragma once

#include <string>

#include "rialto/checkpoint/box_reader.h"
#include "rialto/store/checkpoint.h"

namespace rialto::checkpoint {

/// The tensor `prefix` + the parameter's disk key; both arguments must outlive the result. Throws kInput when it is
/// missing.
ElementSource stored_param(const store::CheckpointReader& reader, const spec::Param& param, const std::string& prefix);

}  // namespace rialto::checkpoint
