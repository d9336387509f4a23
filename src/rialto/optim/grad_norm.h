// The gradient's norm and the clipping coefficient.
#pragma once

#include <vector>

#include "rialto/model/weights.h"

namespace rialto::optim {

/// Euclidean norm of the flat gradient, each weight counted once; summed in fp64 over fixed blocks of 64 Ki elements,
/// so that it does not depend on threads.
double grad_norm(const model::Weights& weights);

/// The same of any flat tensor.
double norm_of(const at::Tensor& flat);
/// The sum of squares of each block, and how many blocks `count` elements have.
std::vector<double> squares_of_blocks(const at::Tensor& flat);
int64_t num_blocks(int64_t count);

/// Megatron's coefficient: clip / (norm + 1e-6) if below 1, else 1; clip <= 0: 1.
double clip_scale(double norm, double clip);

}  // namespace rialto::optim
