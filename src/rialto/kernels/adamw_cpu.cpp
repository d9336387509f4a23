// AdamW on the CPU: one pass over gradient, moments, main parameters and weights.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cmath>

#include "rialto/kernels/adamw.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using simd::bf16;

struct Range {
  float *main, *exp_avg, *exp_avg_sq;
  const float* grad;
  bf16* weights;
  float grad_scale, keep, rate1, beta2, rate2, root_bias2, eps, step_size;
};

RIALTO_SIMD void update(const Range& a, int64_t first, int64_t last) {
  for (int64_t i = first; i < last; ++i) {
    const float g = a.grad[i] * a.grad_scale;
    const float m = a.exp_avg[i] + a.rate1 * (g - a.exp_avg[i]);
    const float v = a.exp_avg_sq[i] * a.beta2 + a.rate2 * g * g;
    a.exp_avg[i] = m;
    a.exp_avg_sq[i] = v;
    a.main[i] = a.main[i] * a.keep - a.step_size * (m / (__builtin_sqrtf(v) / a.root_bias2 + a.eps));
  }
}

RIALTO_SIMD void round_weights(const Range& a, int64_t first, int64_t last) {
  int64_t i = first;
  for (; i + simd::kLanes <= last; i += simd::kLanes) simd::store(a.weights + i, simd::load(a.main + i));
  if (i < last) simd::store_part(a.weights + i, simd::load_part(a.main + i, last - i), last - i);
}

}  // namespace

void cpu::adamw_update(at::Tensor main, at::Tensor exp_avg, at::Tensor exp_avg_sq, const at::Tensor& grad,
                       at::Tensor weights, const AdamWStep& step) {
  const Range args{main.data_ptr<float>(),
                   exp_avg.data_ptr<float>(),
                   exp_avg_sq.data_ptr<float>(),
                   grad.const_data_ptr<float>(),
                   weights.defined() ? weights.data_ptr<bf16>() : nullptr,
                   static_cast<float>(step.grad_scale),
                   static_cast<float>(1 - step.lr * step.weight_decay),
                   static_cast<float>(1 - step.beta1),
                   static_cast<float>(step.beta2),
                   static_cast<float>(1 - step.beta2),
                   static_cast<float>(std::sqrt(step.bias2)),
                   static_cast<float>(step.eps),
                   static_cast<float>(step.lr / step.bias1)};
  constexpr int64_t kBlock = 4096;  // main parameters are still in the first cache when they are rounded
  at::parallel_for(0, (main.numel() + kBlock - 1) / kBlock, 4, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = block * kBlock, end = std::min(main.numel(), begin + kBlock);
      update(args, begin, end);
      if (args.weights) round_weights(args, begin, end);
    }
  });
}

}  // namespace rialto::kernels
