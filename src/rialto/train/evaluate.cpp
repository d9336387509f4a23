// Evaluation on held-out data.
#include "rialto/train/evaluate.h"

#include <algorithm>
#include <chrono>

#include "rialto/train/batches.h"
#include "rialto/train/step.h"

namespace rialto::train {

EvalRecord evaluate(const model::Model& model, const data::Dataset& dataset, const config::RunConfig& config,
                    int64_t vocab, at::Device device, int64_t iteration) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t num_samples = config.validation.eval_iters * config.train.global_batch_size;
  EvalRecord record;
  record.iteration = iteration;
  double sum = 0, weight = 0;
  for (int64_t first = 0; first < num_samples; first += config.train.micro_batch_size) {
    const int64_t count = std::min(config.train.micro_batch_size, num_samples - first);
    const model::Batch batch = make_batch(dataset, first, count, vocab, device);
    const model::LossSum loss = forward_only(model, batch);
    sum += loss.sum.item<double>();
    weight += loss.weight;
    record.num_tokens += batch.tokens_BS.numel();
  }
  record.loss = sum / weight;
  record.elapsed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return record;
}

}  // namespace rialto::train
