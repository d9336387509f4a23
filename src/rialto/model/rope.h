// Angles of rotary embeddings.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/kernels/rope.h"
#include "rialto/spec/model_spec.h"

namespace rialto::model {

/// Inverse frequencies, fp32 [dim/2], scaling applied; computed in fp32 as transformers does, so that angles agree in
/// every bit. `num_positions`: the largest position of the pass, plus one; LongRopeScaling chooses its list by it.
/// Throws kConfig when that list does not fit `dim`. Source: transformers modeling_rope_utils.py.
at::Tensor inverse_frequencies(const spec::Rope& rope, int64_t num_positions = 0);

/// Length of text beyond which some layer's rotation changes: INT64_MAX without LongRopeScaling.
int64_t rotation_limit(const std::vector<spec::Layer>& layers);

/// positions int64 [T] -> cos and sin, fp32 [T, dim/2], times the scaling's attention factor. `num_positions`: known
/// length of the text when it is more than these positions show.
kernels::RopeTable rope_table(const spec::Rope& rope, const at::Tensor& positions_T, int64_t num_positions = 0);

}  // namespace rialto::model
