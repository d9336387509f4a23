// One training iteration.
#include "rialto/train/iteration.h"

#include <algorithm>
#include <cmath>

#include "rialto/train/batches.h"
#include "rialto/train/documents.h"
#include "rialto/train/update.h"

namespace rialto::train {
namespace {

config::BatchSizes next_sizes(const Setup& setup) {
  return config::batch_sizes_at(setup.config.train, setup.state.consumed_train_samples,
                                setup.config.data_parallel_size());
}

/// This rank's micro-batches.
GlobalBatch next_batch(Setup& setup, int64_t size) {
  const Phases::Scope scope(&setup.phases, Phase::kData);
  const int64_t first = setup.state.consumed_train_samples, micro = setup.config.train.micro_batch_size;
  GlobalBatch batch = make_global_batch(*setup.train_data, first, size, micro, setup.batch_form(), setup.share());
  const int64_t next =
      config::batch_sizes_at(setup.config.train, first + size, setup.config.data_parallel_size()).running;
  setup.train_data->announce(sample_numbers(first + size, next, micro, setup.share()));
  return batch;
}

/// Of the whole global batch; `batch` gets its weight and tokens, returned are the FLOPs that were computed.
double sum_over_ranks(GlobalBatch& batch, const Setup& setup) {
  std::vector<double> totals{batch.total_weight, static_cast<double>(batch.num_tokens),
                             setup.flops->exact(attended_lengths(batch))};
  comm::all_reduce_sum(totals, setup.mesh, comm::Axis::kDp);
  batch.total_weight = totals[0];
  batch.num_tokens = static_cast<int64_t>(totals[1]);
  return totals[2];
}

/// Counts of all ranks: the same micro-batches and layers report on each.
void sum_over_ranks(std::vector<model::RoutedTokens>& routed, const comm::Mesh& mesh) {
  std::vector<double> counts;  // exact up to 2^53
  for (const model::RoutedTokens& tokens : routed) {
    const auto* count = tokens.tokens_E.const_data_ptr<int64_t>();
    counts.insert(counts.end(), count, count + tokens.tokens_E.numel());
  }
  comm::all_reduce_sum(counts, mesh, comm::Axis::kDp);
  auto from = counts.begin();
  for (model::RoutedTokens& tokens : routed) {
    auto* count = tokens.tokens_E.data_ptr<int64_t>();
    for (int64_t e = 0; e < tokens.tokens_E.numel(); ++e) count[e] = static_cast<int64_t>(*from++);
  }
}

}  // namespace

int64_t running_batch(const Setup& setup) { return next_sizes(setup).running; }

IterationOutcome run_training_iteration(Setup& setup, const ForwardStep& forward_step) {
  IterationOutcome outcome{.start = std::chrono::steady_clock::now()};
  const checkpoint::TrainingState& state = setup.state;
  const config::ResilienceSection& watch = setup.config.resilience;
  outcome.sizes = next_sizes(setup);
  GlobalBatch batch = next_batch(setup, outcome.sizes.running);
  const double exact_flops = sum_over_ranks(batch, setup);
  StepRecord& record = outcome.record;
  record.iteration = state.iteration + 1;
  const optim::Rates rates = setup.schedule.at(state.scheduled_samples);
  record.learning_rate = rates.lr;
  record.global_batch_size = outcome.sizes.running;
  record.num_tokens = batch.num_tokens;
  record.flops = setup.flops->megatron(static_cast<double>(batch.num_tokens),
                                       static_cast<double>(*config::sample_length(setup.config)));
  record.exact_flops = exact_flops;
  const auto step = [&](double loss) {
    if (is_spike(watch, state.recent_losses, loss)) {
      outcome.trouble = Trouble::kSpike;
      return;
    }
    const Update update = update_weights(setup, rates);
    record.grad_norm = update.grad_norm;
    outcome.overflowed = update.trouble == Trouble::kNonfiniteNorm && setup.loss_scaler;
    if (!outcome.overflowed) outcome.trouble = update.trouble;
  };
  parallel::DataParallel& ranks = *setup.parallel;
  ranks.await_weights();
  const double loss_scale = setup.loss_scaler ? setup.loss_scaler->scale() : 1;
  Iteration iteration = run_iteration(setup.stages(), *setup.weights, batch,
                                      {.forward_step = forward_step,
                                       .per_token = setup.config.model.calculate_per_token_loss,
                                       .loss_scale = loss_scale * ranks.loss_scale(),
                                       .expect_last_backward = [&] { ranks.expect_last_backward(); },
                                       .reduce_grads = [&] { ranks.reduce_gradients(); },
                                       .sum_over_ranks =
                                           [&](auto& sums) {
                                             for (const comm::Axis axis : {comm::Axis::kDpCp, comm::Axis::kPp})
                                               comm::all_reduce_sum(sums, setup.mesh, axis);
                                           },
                                       .step = step,
                                       .phases = &setup.phases});
  record.loss = iteration.loss;
  record.extra = iteration.extra;
  if (!std::isfinite(record.loss)) outcome.trouble = Trouble::kNonfiniteLoss;
  if (!outcome.trouble && setup.config.model.moe_router_bias_update_rate > 0) {
    sum_over_ranks(iteration.routed, setup.mesh);
    model::update_selection_bias(*setup.weights, iteration.routed, setup.config.model.moe_router_bias_update_rate);
  }
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
  setup.recipes->advance(setup.mesh);
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
  record.next_learning_rate = setup.schedule.lr.lr_at(state.scheduled_samples);
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
