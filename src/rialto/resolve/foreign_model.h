// The `model:` section that another program wrote.
#pragma once

#include "rialto/base/schema.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// Dense models with grouped-query attention, Mixtral, Qwen3-MoE and OLMoE, DeepSeek V2 and V3: the family is inferred
/// from the values. Throws kInput naming a key that cannot be derived or that asks for something else.
spec::ModelSpec model_from_foreign(const Node& model_section);

}  // namespace rialto::resolve
