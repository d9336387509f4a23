// Trains with a loss of its own through Rialto as a library: the later a token stands in its row, the more it counts.
// Usage: own_loss RECIPE [section.key=value ...]
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cstdio>
#include <string>

#include "rialto/base/error.h"
#include "rialto/train/train.h"

namespace {

/// The forward step: from a micro-batch to the sum of its tokens' losses, and the weight of those tokens. Model::loss
/// has a gradient; Model::logits is for generation and has none.
rialto::model::LossSum forward_step(const rialto::model::Model& model, const rialto::model::Batch& batch) {
  const rialto::model::AttentionContext context{.positions_BS = batch.positions_BS, .documents_BS = batch.documents_BS};
  const at::Tensor hidden_BSH = model.blocks(model.embed(batch.tokens_BS), context);
  // From 0.5 at the start of a row to 1.5 at its end, and together as much as before: the batch is divided by that.
  const at::Tensor share_S = at::linspace(0.5, 1.5, batch.tokens_BS.size(1), batch.loss_weights_BS.options());
  at::Tensor weights_BS = batch.loss_weights_BS * share_S;
  weights_BS = weights_BS * (batch.loss_weights_BS.sum() / weights_BS.sum().clamp_min(1e-6));
  rialto::model::LossSum loss = model.loss(hidden_BSH, batch.labels_BS, weights_BS);
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
