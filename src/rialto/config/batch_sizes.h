// How large the global batch of an iteration is: constant, or Megatron's ramp-up; and how long the run is.
#pragma once

#include <functional>

#include "rialto/config/run_config.h"

namespace rialto::config {

struct BatchSizes {
  int64_t global = 0;   ///< what the schedule asks for
  int64_t running = 0;  ///< what is trained: with decrease_batch_size_if_needed rounded down to whole micro-batches
  bool operator==(const BatchSizes&) const = default;
};

/// Of the iteration that starts after `consumed_samples`. Source: megatron/core/num_microbatches_calculator.py.
BatchSizes batch_sizes_at(const TrainSection& train, int64_t consumed_samples, int64_t data_parallel_size);

/// train_iters, or train_samples over the global batch; 0 when num_epochs decides.
int64_t planned_iterations(const TrainSection& train);

/// `config` with train.train_iters worked out: of train_samples as above; of num_epochs as
/// ceil(num_epochs * ceil(N / global batch)), which it then lacks. N, the samples of an epoch, is asked for only then.
RunConfig with_train_iters(RunConfig config, const std::function<int64_t()>& samples_of_an_epoch);

/// The samples that a training data set is made for. They decide its shuffle, so a ramp-up counts whole batches, as
/// Megatron does. `config` has its train_iters.
int64_t planned_samples(const TrainSection& train);

/// Tokens of a sample: those of a packed one, else dataset.seq_length or model.seq_length; none where neither is set.
std::optional<int64_t> sample_length(const RunConfig& config);

/// True when the run evaluates at all.
bool evaluates(const RunConfig& config);
/// Samples of one evaluation (of a full one: all that the data has, so this is 0).
int64_t evaluation_samples(const RunConfig& config);
int64_t evaluation_batch(const RunConfig& config);  ///< global
int64_t evaluation_micro_batch(const RunConfig& config);

}  // namespace rialto::config
