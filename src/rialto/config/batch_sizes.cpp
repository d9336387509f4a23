// Sizes of global batches, and lengths in iterations and samples.
#include "rialto/config/batch_sizes.h"

#include <cmath>

namespace rialto::config {
namespace {

/// The ramp-up's arithmetic is Python's: true division, then truncation.
int64_t global_batch_at(const TrainSection& train, int64_t consumed_samples) {
  if (train.rampup_batch_size.empty()) return train.global_batch_size;
  const int64_t start = train.rampup_batch_size[0], increment = train.rampup_batch_size[1],
                samples = train.rampup_batch_size[2];
  if (consumed_samples > samples) return train.global_batch_size;
  const int64_t increments = (train.global_batch_size - start) / increment;
  const double per_increment = static_cast<double>(samples) / static_cast<double>(increments);
  return start + static_cast<int64_t>(static_cast<double>(consumed_samples) / per_increment) * increment;
}

}  // namespace

BatchSizes batch_sizes_at(const TrainSection& train, int64_t consumed_samples, int64_t data_parallel_size) {
  BatchSizes sizes;
  sizes.global = sizes.running = global_batch_at(train, consumed_samples);
  const int64_t whole = train.micro_batch_size * data_parallel_size;
  if (train.decrease_batch_size_if_needed) sizes.running = sizes.global / whole * whole;
  return sizes;
}

int64_t planned_iterations(const TrainSection& train) {
  if (train.train_samples && train.global_batch_size > 0) return *train.train_samples / train.global_batch_size;
  return train.train_iters;
}

RunConfig with_train_iters(RunConfig config, const std::function<int64_t()>& samples_of_an_epoch) {
  TrainSection& train = config.train;
  if (train.num_epochs) {
    const int64_t samples = samples_of_an_epoch();
    const int64_t per_epoch = (samples + train.global_batch_size - 1) / train.global_batch_size;
    train.train_iters = static_cast<int64_t>(std::ceil(*train.num_epochs * static_cast<double>(per_epoch)));
    train.num_epochs.reset();
  } else {
    train.train_iters = planned_iterations(train);
  }
  return config;
}

int64_t planned_samples(const TrainSection& train) {
  return train.train_samples.value_or(train.train_iters * train.global_batch_size);
}

std::optional<int64_t> sample_length(const RunConfig& config) {
  const DatasetSection& data = config.dataset;
  if (data.has_packed_samples()) return data.packed_sequence_size;
  return data.seq_length ? data.seq_length : config.model.seq_length();
}

bool evaluates(const RunConfig& config) {
  return config.validation.eval_interval && (config.validation.eval_iters > 0 || config.validation.full_validation);
}

int64_t evaluation_samples(const RunConfig& config) {
  if (config.validation.full_validation) return 0;
  return config.validation.eval_iters * evaluation_batch(config);
}

int64_t evaluation_batch(const RunConfig& config) {
  return config.validation.eval_global_batch_size.value_or(config.train.global_batch_size);
}

int64_t evaluation_micro_batch(const RunConfig& config) {
  return config.validation.eval_micro_batch_size.value_or(config.train.micro_batch_size);
}

}  // namespace rialto::config
