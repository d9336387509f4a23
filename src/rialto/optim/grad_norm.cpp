// The gradient's Euclidean norm, the same bits for any number of threads, and the clipping coefficient.
#include "rialto/optim/grad_norm.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include <cmath>

namespace rialto::optim {
namespace {

constexpr int64_t kBlock = 64 << 10;

/// Four interleaved fp64 sums, so that the additions need not wait for each other; a fixed order.
double sum_of_squares(const float* x, int64_t count) {
  double sum[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int64_t lane = 0; lane < 4; ++lane)
      sum[lane] += static_cast<double>(x[i + lane]) * static_cast<double>(x[i + lane]);
  }
  for (; i < count; ++i) sum[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

int64_t num_blocks(int64_t count) { return (count + kBlock - 1) / kBlock; }

std::vector<double> squares_of_blocks(const at::Tensor& flat) {
  const at::NoGradGuard no_grad;
  const int64_t count = flat.numel(), blocks = num_blocks(count);
  std::vector<double> sums(static_cast<size_t>(blocks));
  if (!flat.is_cpu() || flat.scalar_type() != at::kFloat) {
    if (blocks > 0) sums[0] = flat.to(at::kDouble).square().sum().item<double>();
    return sums;
  }
  const float* x = flat.const_data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b)
      sums[static_cast<size_t>(b)] = sum_of_squares(x + b * kBlock, std::min(kBlock, count - b * kBlock));
  });
  return sums;
}

double norm_of(const at::Tensor& flat) {
  double total = 0;
  for (const double sum : squares_of_blocks(flat)) total += sum;
  return std::sqrt(total);
}

double grad_norm(const model::Weights& weights) {
  // Frozen weights and padding have zero gradients, and tied weights share one: the flat buffer counts each once.
  return norm_of(const_cast<model::Weights&>(weights).flat_grad());
}

double clip_scale(double norm, double clip) {
  if (clip <= 0) return 1;
  const double scale = clip / (norm + 1e-6);
  return scale < 1 ? scale : 1;
}

}  // namespace rialto::optim
