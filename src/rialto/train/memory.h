// What a configuration asks a training step to keep less of, for one model.
#pragma once

#include "rialto/config/run_config.h"
#include "rialto/model/tape.h"
#include "rialto/spec/model_spec.h"

namespace rialto::train {

/// Throws kConfig for what the model cannot do: parts that it has not, more offloaded layers than all but one.
model::MemoryPlan memory_plan(const config::MemoryKeys& keys, const spec::ModelSpec& model);

}  // namespace rialto::train
