// One training iteration.
#include "rialto/train/iteration.h"

#include <chrono>

#include "rialto/train/batches.h"
#include "rialto/train/schedule_state.h"
#include "rialto/train/step.h"
#include "rialto/train/update.h"

namespace rialto::train {
namespace {

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

/// This rank's micro-batches, with the weight and tokens of the whole global batch.
GlobalBatch next_batch(const config::RunConfig& config, const Setup& setup) {
  GlobalBatch batch =
      make_global_batch(*setup.train_data, setup.state.consumed_train_samples, config.train.global_batch_size,
                        config.train.micro_batch_size, setup.model_spec.vocab, setup.device, setup.share());
  std::vector<double> totals{batch.total_weight, static_cast<double>(batch.num_tokens)};
  comm::all_reduce_sum(totals, setup.mesh, comm::Axis::kDp);
  batch.total_weight = totals[0];
  batch.num_tokens = static_cast<int64_t>(totals[1]);
  return batch;
}

}  // namespace

IterationOutcome run_training_iteration(const config::RunConfig& config, Setup& setup) {
  const auto start = std::chrono::steady_clock::now();
  checkpoint::TrainingState& state = setup.state;
  const int64_t batch_size = config.train.global_batch_size;
  const GlobalBatch batch = next_batch(config, setup);
  IterationOutcome outcome;
  StepRecord& record = outcome.record;
  record.iteration = state.iteration + 1;
  const optim::Rates rates = rates_at(config, setup.schedule, state.consumed_train_samples);
  record.learning_rate = rates.lr;
  const auto step = [&] {
    const Update update = update_weights(config, setup, rates);
    record.grad_norm = update.grad_norm;
    outcome.stepped = update.stepped;
  };
  parallel::DataParallel& ranks = *setup.parallel;
  ranks.await_weights();
  Iteration iteration =
      run_iteration(*setup.model, *setup.weights, batch,
                    {.loss_scale = ranks.loss_scale(),
                     .expect_last_backward = [&] { ranks.expect_last_backward(); },
                     .reduce_grads = [&] { ranks.reduce_gradients(); },
                     .sum_over_ranks = [&](auto& sums) { comm::all_reduce_sum(sums, setup.mesh, comm::Axis::kDp); },
                     .step = step});
  record.loss = iteration.loss;
  record.extra = iteration.extra;
  if (!outcome.stepped) return outcome;
  if (config.model.moe_router_bias_update_rate > 0) {
    sum_over_ranks(iteration.routed, setup.mesh);
    model::update_selection_bias(*setup.weights, iteration.routed, config.model.moe_router_bias_update_rate);
  }

  state.iteration = record.iteration;
  state.consumed_train_samples += batch_size;
  record.flops =
      spec::train_flops(setup.model_spec, static_cast<double>(batch.num_tokens), static_cast<double>(setup.seq_length));
  state.floating_point_operations_so_far += record.flops;
  record.consumed_samples = state.consumed_train_samples;
  record.next_learning_rate = setup.schedule.lr_at(state.consumed_train_samples);
  record.global_batch_size = batch_size;
  record.num_tokens = batch.num_tokens;
  record.elapsed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace rialto::train
