// Angles of rotary embeddings.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/rope.h"
#include "rialto/spec/model_spec.h"

namespace rialto::model {

/// Inverse frequencies, fp32 [dim/2], scaling applied; computed in fp32 as transformers does, so that angles agree in
/// every bit. Source: transformers modeling_rope_utils.py, _compute_default / linear / llama3 parameters.
at::Tensor inverse_frequencies(const spec::Rope& rope);

/// positions int64 [T] -> cos and sin, fp32 [T, dim/2].
kernels::RopeTable rope_table(const spec::Rope& rope, const at::Tensor& positions_T);

}  // namespace rialto::model
