// A `model:` section -> ModelSpec: the one reader of Megatron's keys, whoever wrote them.
#pragma once

#include <optional>

#include "rialto/resolve/section_source.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// What the section says, and for the rest what all models of the family have. `dtype`: none, as params_dtype says.
/// Throws naming the key that is missing, does not fit, or asks for something that the family does not compute.
spec::ModelSpec read_section_model(const SectionSource& source, std::optional<DType> dtype);

}  // namespace rialto::resolve
