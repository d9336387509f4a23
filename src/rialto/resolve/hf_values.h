// The value that a config.json gives to a key of some kind, for a model.
#pragma once

#include "rialto/base/json.h"
#include "rialto/resolve/model_parts.h"

namespace rialto::resolve {

/// The canonical value of a family's row; the row's default where the model has nothing to say about it.
Json hf_value(const bridge::ConfigRow& row, const ModelParts& parts);

}  // namespace rialto::resolve
