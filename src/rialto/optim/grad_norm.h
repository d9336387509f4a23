// The gradient's norm and the clipping coefficient.
#pragma once

#include "rialto/model/weights.h"

namespace rialto::optim {

/// Euclidean norm of the flat gradient, each weight counted once; summed in fp64 over fixed blocks of 64 Ki elements,
/// so that it does not depend on threads.
double grad_norm(const model::Weights& weights);

/// Megatron's coefficient: clip / (norm + 1e-6) if below 1, else 1; clip <= 0: 1.
double clip_scale(double norm, double clip);

}  // namespace rialto::optim
