// Norms and counts that are computed only when a run asks to see them.
#pragma once

#include <map>
#include <string>

#include "rialto/model/weights.h"
#include "rialto/parallel/data_parallel.h"

namespace rialto::train {

/// Euclidean norm of the weights as they compute, in fp64. Collective over the ranks.
double weights_norm(const spec::ModelSpec& model, const model::Weights& weights, const comm::Mesh& mesh);
// Of the reduced gradients, wherever they are: collective over the ranks.

/// Entries of trained weights' gradients that are 0.
int64_t zeros_in_gradient(const spec::ModelSpec& model, const model::Weights& weights,
                          const parallel::DataParallel& ranks, const comm::Mesh& mesh);
/// "l2_norm/grad/<parameter>" of every trained weight, and "l2_norm/grad/global": before clipping, in fp64.
std::map<std::string, double> gradient_norms(const spec::ModelSpec& model, const model::Weights& weights,
                                             const parallel::DataParallel& ranks, const comm::Mesh& mesh);

}  // namespace rialto::train
