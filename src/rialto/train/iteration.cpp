// One training iteration.
#include "rialto/train/iteration.h"

#include <algorithm>
#include <cmath>

#include "rialto/train/batches.h"
#include "rialto/train/documents.h"
#include "rialto/train/schedule_state.h"
#include "rialto/train/update.h"

namespace rialto::train {
namespace {

config::BatchSizes next_sizes(const Setup& setup) {
  return config::batch_sizes_at(setup.config.train, setup.state.consumed_train_samples, 1);
}

GlobalBatch next_batch(Setup& setup, int64_t size) {
  const Phases::Scope scope(&setup.phases, Phase::kData);
  return make_global_batch(*setup.train_data, setup.state.consumed_train_samples, size,
                           setup.config.train.micro_batch_size, setup.model_spec.vocab, setup.device);
}

}  // namespace

int64_t running_batch(const Setup& setup) { return next_sizes(setup).running; }

IterationOutcome run_training_iteration(Setup& setup, const ForwardStep& forward_step) {
  IterationOutcome outcome{.start = std::chrono::steady_clock::now()};
  const checkpoint::TrainingState& state = setup.state;
  const config::ResilienceSection& watch = setup.config.resilience;
  outcome.sizes = next_sizes(setup);
  const GlobalBatch batch = next_batch(setup, outcome.sizes.running);
  StepRecord& record = outcome.record;
  record.iteration = state.iteration + 1;
  const optim::Rates rates = rates_at(setup.config, setup.schedule, state.scheduled_samples);
  record.learning_rate = rates.lr;
  record.global_batch_size = outcome.sizes.running;
  record.num_tokens = batch.num_tokens;
  record.flops = setup.flops->megatron(static_cast<double>(batch.num_tokens), static_cast<double>(setup.seq_length));
  record.exact_flops = setup.flops->exact(attended_lengths(batch));
  const auto step = [&](double loss) {
    if (is_spike(watch, state.recent_losses, loss)) {
      outcome.trouble = Trouble::kSpike;
      return;
    }
    const Update update = update_weights(setup, rates);
    record.grad_norm = update.grad_norm;
    outcome.overflowed = !update.stepped && setup.loss_scaler;
    if (!update.stepped && !setup.loss_scaler) outcome.trouble = Trouble::kNonfiniteNorm;
  };
  const Iteration iteration = run_iteration(*setup.model, *setup.weights, batch,
                                            {.forward_step = forward_step,
                                             .per_token = setup.config.model.calculate_per_token_loss,
                                             .loss_scale = setup.loss_scaler ? setup.loss_scaler->scale() : 1,
                                             .step = step,
                                             .phases = &setup.phases});
  record.loss = iteration.loss;
  record.extra = iteration.extra;
  if (!std::isfinite(record.loss)) outcome.trouble = Trouble::kNonfiniteLoss;
  if (!outcome.trouble && setup.config.model.moe_router_bias_update_rate > 0)
    model::update_selection_bias(*setup.weights, iteration.routed, setup.config.model.moe_router_bias_update_rate);
  return outcome;
}

void finish_iteration(Setup& setup, IterationOutcome& outcome) {
  checkpoint::TrainingState& state = setup.state;
  StepRecord& record = outcome.record;
  const config::BatchSizes& sizes = outcome.sizes;
  state.iteration = record.iteration;
  state.consumed_train_samples += sizes.running;
  state.skipped_train_samples += sizes.global - sizes.running;
  state.floating_point_operations_so_far += record.flops;
  record.skipped = outcome.trouble || outcome.overflowed;
  setup.recipes->advance();
  if (setup.loss_scaler) {
    record.loss_scale = setup.loss_scaler->scale();
    if (setup.loss_scaler->is_dynamic()) state.loss_scaler = setup.loss_scaler->state();
  }
  if (!record.skipped) {
    state.scheduled_samples += sizes.running;
    remember_loss(setup.config.resilience, state.recent_losses, record.loss);
  }
  record.consumed_samples = state.consumed_train_samples;
  record.skipped_samples = state.skipped_train_samples;
  record.next_learning_rate = setup.schedule.lr_at(state.scheduled_samples);
  record.phases_ms = setup.phases.take();
  record.elapsed_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - outcome.start).count();
}

bool is_left_out(const Setup& setup) {
  const auto holds_next = [&](const std::vector<int64_t>& iterations) {
    return std::ranges::find(iterations, setup.state.iteration) != iterations.end();
  };
  return holds_next(setup.config.train.iterations_to_skip) || holds_next(setup.state.iterations_left_out);
}

LeftOutRecord leave_out_iteration(Setup& setup) {
  checkpoint::TrainingState& state = setup.state;
  const int64_t batch = running_batch(setup);
  ++state.iteration;
  state.consumed_train_samples += batch;
  state.skipped_train_samples += batch;
  return {state.iteration, state.consumed_train_samples, state.skipped_train_samples};
}

}  // namespace rialto::train
