// Evaluation on held-out data.
#include "rialto/train/evaluate.h"

#include <algorithm>
#include <chrono>

#include "rialto/config/batch_sizes.h"
#include "rialto/train/batches.h"
#include "rialto/train/step.h"

namespace rialto::train {
namespace {

int64_t pieces(int64_t of, int64_t size) { return (of + size - 1) / size; }

/// What a rank runs while others, whose tokens its experts serve, have one more micro-batch. No sample is counted.
model::Batch of_no_weight(model::Batch batch) {
  batch.loss_weights_BS.zero_();
  batch.sample_numbers.clear();
  return batch;
}

}  // namespace

EvalRecord evaluate(Setup& setup, const Hooks& hooks, EvalPart part) {
  const auto start = std::chrono::steady_clock::now();
  const config::RunConfig& config = setup.config;
  const bool test = part == EvalPart::kTest;
  const data::Dataset& dataset = test ? *setup.test_data : *setup.valid_data;
  if (const auto& started = test ? hooks.on_test_start : hooks.on_eval_start) started(setup.state.iteration);
  const auto& step_start = test ? hooks.on_test_step_start : hooks.on_eval_step_start;
  const auto& step_end = test ? hooks.on_test_step_end : hooks.on_eval_step_end;

  const int64_t wanted = config::evaluation_samples(config), num_samples = wanted > 0 ? wanted : dataset.size();
  const int64_t global = config::evaluation_batch(config);
  const int64_t micro = config::evaluation_micro_batch(config);
  const Share share = setup.share();
  EvalRecord record{.iteration = setup.state.iteration, .part = part};
  setup.parallel->await_weights();
  double sum = 0, weight = 0, tokens = 0;
  const Stages stages = setup.stages();
  for (int64_t batch_start = 0; batch_start < num_samples; batch_start += global) {
    if (step_start) step_start(batch_start / global);
    const int64_t batch_end = std::min(batch_start + global, num_samples);
    std::vector<model::Batch> batches;
    for (int64_t first = batch_start + share.index * micro; first < batch_end; first += share.count * micro) {
      batches.push_back(make_batch(dataset, first, std::min(micro, batch_end - first), setup.batch_form()));
    }
    const auto most = static_cast<size_t>(pieces(pieces(batch_end - batch_start, micro), share.count));
    if (batches.size() < most && setup.mesh.layout().ep > 1)
      batches.push_back(of_no_weight(make_batch(dataset, batch_end - 1, 1, setup.batch_form())));
    const Totals totals = forward_only(stages, batches, hooks.forward_step);
    sum += totals.loss_sum;
    weight += totals.weight;
    tokens += totals.tokens;
    if (step_end) step_end(batch_start / global);
  }
  std::vector<double> totals{sum, weight, tokens};
  for (const comm::Axis axis : {comm::Axis::kDpCp, comm::Axis::kPp}) comm::all_reduce_sum(totals, setup.mesh, axis);
  record.num_samples = num_samples;
  record.num_tokens = static_cast<int64_t>(totals[2]);
  record.loss = totals[0] / totals[1];
  record.elapsed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return record;
}

}  // namespace rialto::train
