// Times training steps of workload C1 (a 10M Llama, batch 4 x 512) and prints them as JSON:
// bench_train_step [fp32|bf16] [threads] [steps]
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/model/model.h"
#include "rialto/optim/grad_norm.h"
#include "rialto/optim/optimizer.h"

namespace {

using namespace rialto;
using Clock = std::chrono::steady_clock;

spec::ModelSpec workload_c1() {
  spec::ModelSpec model;
  model.family = "llama";
  model.hidden = 256;
  model.vocab = 8192;
  model.max_positions = 2048;
  model.tied = true;
  const spec::Norm norm{.eps = 1e-5};
  for (int layer = 0; layer < 8; ++layer) {
    model.layers.push_back({norm,
                            spec::Attention{.num_heads = 8,
                                            .num_groups = 4,
                                            .head_dim = 32,
                                            .qkv_bias = false,
                                            .qk_norm = {},
                                            .window = {},
                                            .softmax_scale = 0.17677669529663687,
                                            .rope = spec::Rope{.base = 10000, .dim = 32, .scaling = {}}},
                            norm, spec::DenseFfn{.hidden = 688}});
  }
  model.final_norm = norm;
  return model;
}

struct Timer {
  Clock::time_point start = Clock::now();
  double lap_ms() {
    const auto now = Clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - start).count();
    start = now;
    return ms;
  }
};

int run(const std::string& dtype, int threads, int steps) {
  at::set_num_threads(threads);
  const spec::ModelSpec spec = workload_c1();
  model::Weights weights(spec, {}, {}, {.device = at::kCPU, .dtype = dtype == "bf16" ? at::kBFloat16 : at::kFloat},
                         true);
  weights.init_random(spec, 1234);
  const model::Model model(spec, weights, {}, {.embedding = true, .head = true, .first = 0, .last = 8});
  optim::Optimizer adam(weights, {});
  at::manual_seed(1);
  model::Batch batch;
  batch.tokens_BS = at::randint(8192, {4, 512}, at::kLong);
  batch.labels_BS = at::roll(batch.tokens_BS, -1, 1);
  batch.loss_weights_BS = at::ones({4, 512});
  batch.positions_BS = at::arange(512, at::kLong).unsqueeze(0).expand({4, 512}).contiguous();
  std::string ms, losses, parts;
  for (int i = 0; i < steps; ++i) {
    Timer whole, part;
    weights.zero_grad();
    const double zero = part.lap_ms();
    const model::LossSum loss = model.forward_loss(batch);
    const double forward = part.lap_ms();
    model::backward(loss, 1 / loss.weight);
    const double backward = part.lap_ms();
    const double scale = optim::clip_scale(optim::grad_norm(weights), 1.0);
    adam.step({.lr = 1e-3, .decoupled_lr = 1e-3, .weight_decay = 0.1}, scale);
    const double update = part.lap_ms();
    const char* comma = i ? ", " : "";
    ms += fmt::format("{}{:.2f}", comma, whole.lap_ms());
    losses += fmt::format("{}{:.6f}", comma, loss.sum.item<double>() / loss.weight);
    parts = fmt::format("{{\"zero\": {:.2f}, \"forward\": {:.1f}, \"backward\": {:.1f}, \"update\": {:.2f}}}", zero,
                        forward, backward, update);
  }
  fmt::print(
      "{{\"dtype\": \"{}\", \"threads\": {}, \"tokens\": 2048, \"ms\": [{}], \"losses\": [{}], \"last_step_ms\": "
      "{}}}\n",
      dtype, threads, ms, losses, parts);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : "bf16", argc > 2 ? std::stoi(argv[2]) : 2, argc > 3 ? std::stoi(argv[3]) : 12);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
