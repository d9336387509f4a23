// Loads a bf16 training state from an iter folder (ours or Megatron's) and saves it again under another root, so that a
// test can compare what was read with what was there:
//   state_tool resave ITER_DIR ROOT
//   state_tool step ITER_DIR ROOT DATA_PREFIX SEQ_LENGTH BATCH LR
// `step` takes one optimizer step between, with gradients computed in fp32 at the bf16 weights, and saves the main
// parameters as an fp32 model: two programs agree on those to 1e-5, which bf16 arithmetic hides, and which one weight
// that lies between two bf16 numbers would undo.
//   state_tool scaler INITIAL MIN WINDOW HYSTERESIS OVERFLOWS
// prints a loss scaler's scale, inverse and trackers after each character of OVERFLOWS: 1 for an overflow, 0 for none.
#include <cstdio>
#include <string>

#include "rialto/base/error.h"
#include "rialto/checkpoint/checkpoint.h"
#include "rialto/data/gpt_dataset.h"
#include "rialto/generate/loaded_model.h"
#include "rialto/optim/grad_norm.h"
#include "rialto/optim/loss_scaler.h"
#include "rialto/train/batches.h"
#include "rialto/train/step.h"

namespace rialto {
namespace {

constexpr optim::Options kAdam{.adam_beta1 = 0.9, .adam_beta2 = 0.95, .adam_eps = 1e-3};
constexpr double kDecay = 0.1;
constexpr double kClip = 1.0;

struct State {
  checkpoint::Source source;
  model::Weights weights;
  optim::Optimizer optimizer;
  checkpoint::TrainingState counters;

  explicit State(const fs::path& iter_dir)
      : source(checkpoint::open_source(iter_dir)),
        weights(source.model, {}, {}, {at::kCPU, at::kBFloat16}, true),
        optimizer(weights, kAdam),
        counters(checkpoint::load_training(iter_dir, source.model, weights, optimizer, nullptr)) {}

  void save(const fs::path& root, const spec::ModelSpec& model, model::Weights& values, optim::Optimizer* moments) {
    checkpoint::SaveOptions options;
    options.root = root;
    options.optimizer = kAdam;
    options.rates.weight_decay = kDecay;
    const Json scheduler = {{"max_lr", 1e-3}, {"min_lr", 0.0}};
    checkpoint::save(real_file_ops(), options, model, values, moments, counters, scheduler, nullptr);
  }
};

void step(State& state, const fs::path& iter_dir, const fs::path& root, const data::GptDatasetOptions& options,
          int64_t batch_size, double lr) {
  const generate::LoadedModel twin = generate::open_model(iter_dir, DType::kF32, at::kCPU, true, nullptr);
  const data::GptDataset dataset(options);
  const train::GlobalBatch batch =
      train::make_global_batch(dataset, 0, batch_size, batch_size, {.vocab = twin.spec.vocab});
  train::run_iteration(*twin.model, *twin.weights, batch, {});
  state.weights.flat_grad().copy_(twin.weights->flat_grad());
  state.optimizer.step({.lr = lr, .decoupled_lr = lr, .weight_decay = kDecay},
                       optim::clip_scale(optim::grad_norm(state.weights), kClip));
  ++state.counters.iteration;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < twin.weights->all().size(); ++i) {
    const model::Weight &mine = state.weights.all()[i], &other = twin.weights->all()[i];
    if (!mine.param.buffer)
      other.data.copy_(state.optimizer.read("param", {mine.offset, mine.offset + mine.size}).view(mine.data.sizes()));
  }
  state.save(root, twin.spec, *twin.weights, nullptr);
}

void scaler(const optim::LossScalerOptions& options, const std::string& overflows) {
  optim::LossScaler scaler(options);
  for (const char overflow : overflows) {
    scaler.update(overflow == '1');
    std::printf("%.17g %.17g %lld %lld\n", scaler.scale(), scaler.inverse(),
                static_cast<long long>(scaler.state().growth_tracker),
                static_cast<long long>(scaler.state().hysteresis_tracker));
  }
}

int run(const std::vector<std::string>& a) {
  if (a.size() == 6 && a[0] == "scaler") {
    scaler({.constant = {},
            .initial = std::stod(a[1]),
            .min = std::stod(a[2]),
            .window = std::stoll(a[3]),
            .hysteresis = std::stoll(a[4])},
           a[5]);
    return 0;
  }
  const bool steps = a.size() == 7 && a[0] == "step";
  if (!steps && !(a.size() == 3 && a[0] == "resave"))
    throw Error(ErrorKind::kUsage, "state_tool", "see the file's first lines");
  State state{fs::path(a[1])};
  if (steps) {
    step(state, a[1], a[2], {.prefix = a[3], .seq_length = std::stoll(a[4]), .num_samples = std::stoll(a[5])},
         std::stoll(a[5]), std::stod(a[6]));
  } else {
    state.save(a[2], state.source.model, state.weights, &state.optimizer);
  }
  return 0;
}

}  // namespace
}  // namespace rialto

int main(int argc, char** argv) {
  try {
    return rialto::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
