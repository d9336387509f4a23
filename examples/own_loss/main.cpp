// Trains with a loss of its own through Rialto as a library: cross entropy plus PaLM's z term, 1e-4 * log(Z)^2, which
// keeps the softmax's normaliser Z near 1. Usage: own_loss RECIPE [section.key=value ...]
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cstdio>
#include <string>

#include "rialto/base/error.h"
#include "rialto/train/train.h"

namespace {

/// The forward step: from a micro-batch to the sum of its tokens' losses, and the weight of those tokens.
rialto::model::LossSum forward_step(const rialto::model::Model& model, const rialto::model::Batch& batch) {
  const rialto::model::AttentionContext context{.positions_BS = batch.positions_BS, .documents_BS = batch.documents_BS};
  const at::Tensor logits_BSV = model.logits(model.blocks(model.embed(batch.tokens_BS), context));
  const at::Tensor log_z_BS = at::logsumexp(logits_BSV, -1);
  const at::Tensor label_BS = logits_BSV.gather(-1, batch.labels_BS.unsqueeze(-1)).squeeze(-1);
  const at::Tensor losses_BS = log_z_BS - label_BS + 1e-4 * log_z_BS * log_z_BS;

  rialto::model::LossSum loss;
  loss.sum = (losses_BS * batch.loss_weights_BS).sum();
  loss.weight = batch.loss_weights_BS.sum(at::kDouble).item<double>();
  return loss;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: own_loss RECIPE [section.key=value ...]\n");
    return 2;
  }
  try {
    rialto::config::ConfigSources sources;
    sources.base = argv[1];
    sources.overrides.assign(argv + 2, argv + argc);
    rialto::train::Hooks hooks;
    hooks.print = [](std::string_view line) { std::printf("%.*s\n", static_cast<int>(line.size()), line.data()); };
    hooks.forward_step = forward_step;
    const rialto::train::Result result = rialto::train::train(rialto::config::read_run_config(sources), hooks);
    std::printf("loss %.6f after %lld iterations\n", result.last_loss, static_cast<long long>(result.iteration));
  } catch (const rialto::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return rialto::exit_code(error.kind());
  }
}
