// Times training steps and prints them as JSON: bench_train_step [fp32|bf16] [threads] [steps] [c1|c2|loss] [narrow]
// c1: a 10M Llama, batch 4 x 512; c2: a 135M Llama, batch 2 x 1024; loss: head and loss of h256 V49152 alone, forward
// and backward, on 4096 tokens. narrow: moments in bf16, main parameters as bf16 and remainders.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/kernels/host_blocks.h"
#include "rialto/model/functions.h"
#include "rialto/model/model.h"
#include "rialto/optim/grad_norm.h"
#include "rialto/optim/optimizer.h"

namespace {

using namespace rialto;
using Clock = std::chrono::steady_clock;

struct Workload {
  int64_t hidden, layers, heads, groups, head_dim, ffn, vocab, rows, tokens;
};
constexpr Workload kC1{256, 8, 8, 4, 32, 688, 8192, 4, 512};      // a 10M Llama
constexpr Workload kC2{576, 30, 9, 3, 64, 1536, 49152, 2, 1024};  // SmolLM 135M

spec::ModelSpec llama(const Workload& w) {
  spec::ModelSpec model;
  model.family = "llama";
  model.hidden = w.hidden;
  model.vocab = w.vocab;
  model.max_positions = 2048;
  model.tied = true;
  const spec::Norm norm{.eps = 1e-5};
  for (int64_t layer = 0; layer < w.layers; ++layer) {
    model.layers.push_back({norm,
                            spec::Attention{.num_heads = w.heads,
                                            .num_groups = w.groups,
                                            .head_dim = w.head_dim,
                                            .qkv_bias = false,
                                            .qk_norm = {},
                                            .window = {},
                                            .softmax_scale = 1 / std::sqrt(static_cast<double>(w.head_dim)),
                                            .rope = spec::Rope{.base = 10000, .dim = w.head_dim, .scaling = {}}},
                            norm, spec::DenseFfn{.hidden = w.ffn}});
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

int run_loss(const std::string& dtype, int threads, int steps) {
  at::set_num_threads(threads);
  const auto type = dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  model::Weight head;
  head.data = (at::randn({49152, 256}) * 0.02).to(type).set_requires_grad(true);
  head.main_grad = at::zeros({49152, 256});
  const at::Tensor x = at::randn({4096, 256}).to(type).set_requires_grad(true);
  const at::Tensor labels = at::randint(49152, {4096}, at::kLong), ones = at::ones({4096});
  std::string ms;
  for (int i = 0; i < steps; ++i) {
    Timer timer;
    model::linear_cross_entropy({}, x, {.weight = &head}, labels, ones).backward();
    ms += fmt::format("{}{:.2f}", i ? ", " : "", timer.lap_ms());
  }
  fmt::print("{{\"dtype\": \"{}\", \"threads\": {}, \"tokens\": 4096, \"ms\": [{}]}}\n", dtype, threads, ms);
  return 0;
}

int run(const std::string& dtype, int threads, int steps, const Workload& workload, const optim::Options& options) {
  at::set_num_threads(threads);
  const spec::ModelSpec spec = llama(workload);
  model::Weights weights(spec, {}, {}, {.device = at::kCPU, .dtype = dtype == "bf16" ? at::kBFloat16 : at::kFloat},
                         true);
  weights.init_random(spec, 1234);
  const model::Model model(spec, weights, {}, {.embedding = true, .head = true, .first = 0, .last = workload.layers});
  optim::Optimizer adam(weights, options);
  at::manual_seed(1);
  model::Batch batch;
  batch.tokens_BS = at::randint(workload.vocab, {workload.rows, workload.tokens}, at::kLong);
  batch.labels_BS = at::roll(batch.tokens_BS, -1, 1);
  batch.loss_weights_BS = at::ones({workload.rows, workload.tokens});
  batch.positions_BS =
      at::arange(workload.tokens, at::kLong).unsqueeze(0).expand({workload.rows, workload.tokens}).contiguous();
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
      "{{\"dtype\": \"{}\", \"threads\": {}, \"tokens\": {}, \"ms\": [{}], \"losses\": [{}], \"last_step_ms\": "
      "{}}}\n",
      dtype, threads, workload.rows * workload.tokens, ms, losses, parts);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    kernels::use_host_blocks();
    const std::string dtype = argc > 1 ? argv[1] : "bf16", workload = argc > 4 ? argv[4] : "c1";
    const int threads = argc > 2 ? std::stoi(argv[2]) : 2, steps = argc > 3 ? std::stoi(argv[3]) : 12;
    if (workload == "loss") return run_loss(dtype, threads, steps);
    optim::Options options;
    if (argc > 5 && argv[5] == std::string("narrow"))
      options = {.exp_avg_dtype = at::kBFloat16, .exp_avg_sq_dtype = at::kBFloat16, .param_remainders = true};
    return run(dtype, threads, steps, workload == "c2" ? kC2 : kC1, options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
