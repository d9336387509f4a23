// One training iteration.
#include "rialto/train/iteration.h"

#include <chrono>

#include "rialto/train/batches.h"
#include "rialto/train/step.h"
#include "rialto/train/update.h"

namespace rialto::train {

IterationOutcome run_training_iteration(const config::RunConfig& config, Setup& setup) {
  const auto start = std::chrono::steady_clock::now();
  checkpoint::TrainingState& state = setup.state;
  const int64_t batch_size = config.train.global_batch_size;
  const GlobalBatch batch = make_global_batch(*setup.train_data, state.consumed_train_samples, batch_size,
                                              config.train.micro_batch_size, setup.model_spec.vocab, setup.device);
  IterationOutcome outcome;
  StepRecord& record = outcome.record;
  record.iteration = state.iteration + 1;
  const optim::Rates rates = setup.schedule.at(state.consumed_train_samples);
  record.learning_rate = rates.lr;
  const auto step = [&] {
    const Update update = update_weights(config, setup, rates);
    record.grad_norm = update.grad_norm;
    outcome.stepped = update.stepped;
  };
  const Iteration iteration = run_iteration(*setup.model, *setup.weights, batch, {.step = step});
  record.loss = iteration.loss;
  record.extra = iteration.extra;
  if (!outcome.stepped) return outcome;
  if (config.model.moe_router_bias_update_rate > 0)
    model::update_selection_bias(*setup.weights, iteration.routed, config.model.moe_router_bias_update_rate);

  state.iteration = record.iteration;
  state.consumed_train_samples += batch_size;
  record.flops =
      spec::train_flops(setup.model_spec, static_cast<double>(batch.num_tokens), static_cast<double>(setup.seq_length));
  state.floating_point_operations_so_far += record.flops;
  record.consumed_samples = state.consumed_train_samples;
  record.next_learning_rate = setup.schedule.lr.lr_at(state.consumed_train_samples);
  record.global_batch_size = batch_size;
  record.num_tokens = batch.num_tokens;
  record.elapsed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace rialto::train
