// Micro-batches by sample number: what the data room serves as numbers becomes the tensors a model is fed.
#pragma once

#include <vector>

#include "rialto/data/dataset.h"
#include "rialto/model/batch.h"

namespace rialto::train {

/// What micro-batches look like.
struct BatchForm {
  int64_t vocab = 0;
  at::Device device = at::kCPU;
  int64_t joined_multiple = 0;  ///< not 0: samples are laid end to end in one row of a multiple of so many tokens
};

/// Samples [first, first + count) as one micro-batch on `form.device`. Numbers past the dataset's end do not occur: it
/// is built for as many samples as the run asks for. Throws kInput naming the sample when a token is not below `vocab`.
model::Batch make_batch(const data::Dataset& dataset, int64_t first, int64_t count, const BatchForm& form);

/// The micro-batches of one global batch in order, or one rank's share of them.
struct GlobalBatch {
  std::vector<model::Batch> micro_batches;
  size_t num_micro_batches = 0;  ///< of all ranks
  double total_weight = 0;       ///< sum of the loss weights of `micro_batches`, until the ranks have added theirs
  int64_t num_tokens = 0;        ///< likewise
};
/// One data-parallel rank's share of a global batch.
struct Share {
  int64_t index = 0, count = 1;
};
/// `share`: its micro-batches, dealt out in turn as Megatron does: of `count` neighbouring ones rank i gets the i-th.
GlobalBatch make_global_batch(const data::Dataset& dataset, int64_t first, int64_t global_size, int64_t micro_size,
                              const BatchForm& form, const Share& share = {});
/// The numbers of its samples, in the order in which they are asked for.
std::vector<int64_t> sample_numbers(int64_t first, int64_t global_size, int64_t micro_size, const Share& share);

}  // namespace rialto::train
