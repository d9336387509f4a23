// The feed-forward blocks of a config.json.
#pragma once

#include "rialto/resolve/hf_config.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Throws kInput for a missing width and an activation that the family does not compute.
spec::DenseFfn read_dense(const HfConfig& config);

/// Throws kInput for experts, groups and choices that do not fit each other.
spec::MoeFfn read_moe(const HfConfig& config);

}  // namespace rialto::resolve
