// Cross entropy rows on the CPU: maximum, exponentials in place, then the scale.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <limits>

#include "rialto/kernels/cross_entropy.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;

struct Rows {
  float* logits;
  const int64_t* labels;
  const float* weights;
  float* loss;
  int64_t vocab;
  bool want_grad;
};

RIALTO_SIMD void rows(const Rows& a, int64_t first, int64_t last) {
  const int64_t whole = a.vocab / kLanes * kLanes;
  for (int64_t row = first; row < last; ++row) {
    float* x = a.logits + row * a.vocab;
    const float w = a.weights[row];
    if (w == 0.0F) {
      a.loss[row] = 0;
      if (a.want_grad) std::memset(x, 0, static_cast<size_t>(a.vocab) * sizeof(float));
      continue;
    }
    f32x8 top = splat(-std::numeric_limits<float>::infinity());
    for (int64_t i = 0; i < whole; i += kLanes) top = maximum(load(x + i), top);
    float max = max_lanes(top);
    for (int64_t i = whole; i < a.vocab; ++i) max = x[i] > max ? x[i] : max;
    const float target = x[a.labels[row]];
    f32x8 acc = splat(0);
    for (int64_t i = 0; i < whole; i += kLanes) {
      const f32x8 e = exp(load(x + i) - max);
      if (a.want_grad) store(x + i, e);
      acc += e;
    }
    if (const int64_t rest = a.vocab - whole; rest) {
      const f32x8 e = exp(load_part(x + whole, rest) - max);
      float lanes[kLanes];
      store(lanes, e);
      for (int64_t i = 0; i < rest; ++i) acc[i] += lanes[i];
      if (a.want_grad) store_part(x + whole, e, rest);
    }
    const float sum = sum_lanes(acc);
    a.loss[row] = w * (std::log(sum) + (max - target));
    if (!a.want_grad) continue;
    const float scale = w / sum;
    for (int64_t i = 0; i < whole; i += kLanes) store(x + i, load(x + i) * scale);
    for (int64_t i = whole; i < a.vocab; ++i) x[i] *= scale;
    x[a.labels[row]] -= w;
  }
}

}  // namespace

at::Tensor cpu::cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, const at::Tensor& weights,
                                   bool want_grad) {
  const at::Tensor label = labels.contiguous(), weight = weights.to(at::kFloat).contiguous();
  at::Tensor loss = at::empty({logits.size(0)}, logits.options());
  const Rows args{logits.data_ptr<float>(),
                  label.const_data_ptr<int64_t>(),
                  weight.const_data_ptr<float>(),
                  loss.data_ptr<float>(),
                  logits.size(1),
                  want_grad};
  at::parallel_for(0, logits.size(0), 4, [&](int64_t first, int64_t last) { rows(args, first, last); });
  return loss;
}

}  // namespace rialto::kernels
