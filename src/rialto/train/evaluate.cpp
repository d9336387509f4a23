// Evaluation on held-out data.
#include "rialto/train/evaluate.h"

#include <algorithm>
#include <chrono>

#include "rialto/train/batches.h"
#include "rialto/train/step.h"

namespace rialto::train {

EvalRecord evaluate(const config::RunConfig& config, Setup& setup) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t num_samples = config.validation.eval_iters * config.train.global_batch_size;
  const int64_t micro = config.train.micro_batch_size;
  const Share share = setup.share();
  setup.parallel->await_weights();
  double sum = 0, weight = 0, tokens = 0;
  for (int64_t first = share.index * micro; first < num_samples; first += share.count * micro) {
    const model::Batch batch = make_batch(*setup.valid_data, first, std::min(micro, num_samples - first),
                                          setup.model_spec.vocab, setup.device);
    const model::LossSum loss = forward_only(*setup.model, batch);
    sum += loss.sum.item<double>();
    weight += loss.weight;
    tokens += static_cast<double>(batch.tokens_BS.numel());
  }
  std::vector<double> totals{sum, weight, tokens};
  comm::all_reduce_sum(totals, setup.mesh, comm::Axis::kDp);
  EvalRecord record;
  record.iteration = setup.state.iteration;
  record.loss = totals[0] / totals[1];
  record.num_tokens = static_cast<int64_t>(totals[2]);
  record.elapsed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return record;
}

}  // namespace rialto::train
