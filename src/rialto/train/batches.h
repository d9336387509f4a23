// Micro-batches by sample number: what the data room serves as numbers becomes the tensors a model is fed.
#pragma once

#include <vector>

#include "rialto/data/dataset.h"
#include "rialto/model/batch.h"

namespace rialto::train {

/// Samples [first, first + count) as one micro-batch on `device`. Numbers past the dataset's end do not occur: it is
/// built for as many samples as the run asks for. Throws kInput naming the sample when a token is not below `vocab`.
model::Batch make_batch(const data::Dataset& dataset, int64_t first, int64_t count, int64_t vocab, at::Device device);

/// The micro-batches of one global batch in order, and the sum of their loss weights.
struct GlobalBatch {
  std::vector<model::Batch> micro_batches;
  double total_weight = 0;
  int64_t num_tokens = 0;
};
GlobalBatch make_global_batch(const data::Dataset& dataset, int64_t first, int64_t global_size, int64_t micro_size,
                              int64_t vocab, at::Device device);

}  // namespace rialto::train
