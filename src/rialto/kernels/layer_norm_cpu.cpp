// LayerNorm on the CPU: mean, then variance around it, then the scale; parameter gradients in blocks of rows with a
// fixed order.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "rialto/kernels/layer_norm.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;
constexpr int64_t kRowsPerBlock = 32;

template <class T>
struct Forward {
  const T *x, *delta;          ///< delta null: none
  const float *weight, *bias;  ///< offset included; bias zeros when there is none
  T *sum, *y;
  float *mean, *rstd;
  int64_t width;
  float eps;
};

template <class T>
RIALTO_INLINE void forward_rows(const Forward<T>& a, int64_t first, int64_t last) {
  const float scale = 1.0F / static_cast<float>(a.width);
  for (int64_t row = first; row < last; ++row) {
    const T* x = a.x + row * a.width;
    const T* s = a.delta ? a.sum + row * a.width : x;
    f32x8 acc = splat(0);
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      f32x8 v = load_some(x + i, n);
      if (a.delta) {
        store_some(a.sum + row * a.width + i, v + load_some(a.delta + row * a.width + i, n), n);
        v = load_some(s + i, n);  // as rounded
      }
      acc += v;
    }
    const float mean = sum_lanes(acc) * scale;
    acc = splat(0);
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      const f32x8 v = first_lanes(load_some(s + i, n) - mean, n);
      acc += v * v;
    }
    const float rstd = 1.0F / __builtin_sqrtf(sum_lanes(acc) * scale + a.eps);
    a.mean[row] = mean;
    a.rstd[row] = rstd;
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      const f32x8 normed = (load_some(s + i, n) - mean) * rstd;
      store_some(a.y + row * a.width + i, normed * load_some(a.weight + i, n) + load_some(a.bias + i, n), n);
    }
  }
}

template <class T>
struct Backward {
  const T *dy, *dsum, *sum;  ///< dsum null: none
  const float *weight, *mean, *rstd;
  T* dx;
  float* partial;  ///< [blocks, 2, width] of weight and bias, zeroed, or null
  int64_t width, rows;
};

template <class T>
RIALTO_INLINE void backward_block(const Backward<T>& a, int64_t block) {
  const float scale = 1.0F / static_cast<float>(a.width);
  float* dweight = a.partial ? a.partial + block * 2 * a.width : nullptr;
  const int64_t last = std::min(a.rows, (block + 1) * kRowsPerBlock);
  for (int64_t row = block * kRowsPerBlock; row < last; ++row) {
    const T *dy = a.dy + row * a.width, *s = a.sum + row * a.width;
    const float mean = a.mean[row], rstd = a.rstd[row];
    f32x8 total = splat(0), dot = splat(0);
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      const f32x8 g = load_some(dy + i, n), normed = (load_some(s + i, n) - mean) * rstd;
      const f32x8 gw = g * load_some(a.weight + i, n);  // zero beyond the row
      total += gw;
      dot += gw * normed;
      if (!dweight) continue;
      float* dbias = dweight + a.width;
      store_some(dweight + i, load_some(dweight + i, n) + g * normed, n);
      store_some(dbias + i, load_some(dbias + i, n) + g, n);
    }
    const float mean_g = sum_lanes(total) * scale, mean_dot = sum_lanes(dot) * scale;
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      const f32x8 normed = (load_some(s + i, n) - mean) * rstd;
      f32x8 d = (load_some(dy + i, n) * load_some(a.weight + i, n) - mean_g - normed * mean_dot) * rstd;
      if (a.dsum) d += load_some(a.dsum + row * a.width + i, n);
      store_some(a.dx + row * a.width + i, d, n);
    }
  }
}

RIALTO_SIMD void forward_f32(const Forward<float>& a, int64_t first, int64_t last) { forward_rows(a, first, last); }
RIALTO_SIMD void forward_bf16(const Forward<bf16>& a, int64_t first, int64_t last) { forward_rows(a, first, last); }
RIALTO_SIMD void forward_f16(const Forward<f16>& a, int64_t first, int64_t last) { forward_rows(a, first, last); }
RIALTO_SIMD void backward_f32(const Backward<float>& a, int64_t block) { backward_block(a, block); }
RIALTO_SIMD void backward_bf16(const Backward<bf16>& a, int64_t block) { backward_block(a, block); }
RIALTO_SIMD void backward_f16(const Backward<f16>& a, int64_t block) { backward_block(a, block); }
void run(const Forward<float>& a, int64_t first, int64_t last) { forward_f32(a, first, last); }
void run(const Forward<bf16>& a, int64_t first, int64_t last) { forward_bf16(a, first, last); }
void run(const Forward<f16>& a, int64_t first, int64_t last) { forward_f16(a, first, last); }
void run(const Backward<float>& a, int64_t block) { backward_f32(a, block); }
void run(const Backward<bf16>& a, int64_t block) { backward_bf16(a, block); }
void run(const Backward<f16>& a, int64_t block) { backward_f16(a, block); }

template <class T>
const T* data_or_null(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr<T>() : nullptr;
}

/// The weight as it multiplies.
at::Tensor scale_of(const at::Tensor& weight, double offset) { return weight.to(at::kFloat).add(offset).contiguous(); }

template <class T>
void forward_typed(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, const at::Tensor& bias,
                   double eps, LayerNormOutput& out) {
  const Forward<T> args{x.const_data_ptr<T>(),
                        data_or_null<T>(delta),
                        weight.const_data_ptr<float>(),
                        bias.const_data_ptr<float>(),
                        delta.defined() ? out.sum.data_ptr<T>() : nullptr,
                        out.y.data_ptr<T>(),
                        out.mean.data_ptr<float>(),
                        out.rstd.data_ptr<float>(),
                        x.size(-1),
                        static_cast<float>(eps)};
  at::parallel_for(0, out.mean.numel(), kRowsPerBlock, [&](int64_t first, int64_t last) { run(args, first, last); });
}

template <class T>
void backward_typed(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                    const at::Tensor& weight, at::Tensor& dx, at::Tensor& partial) {
  const Backward<T> args{dy.const_data_ptr<T>(),
                         data_or_null<T>(dsum),
                         forward.sum.const_data_ptr<T>(),
                         weight.const_data_ptr<float>(),
                         forward.mean.const_data_ptr<float>(),
                         forward.rstd.const_data_ptr<float>(),
                         dx.data_ptr<T>(),
                         partial.defined() ? partial.data_ptr<float>() : nullptr,
                         dy.size(-1),
                         forward.mean.numel()};
  const int64_t blocks = (args.rows + kRowsPerBlock - 1) / kRowsPerBlock;
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) run(args, block);
  });
}

}  // namespace

LayerNormOutput cpu::layer_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                        const at::Tensor& bias, double eps, double weight_offset) {
  const at::Tensor w = scale_of(weight, weight_offset), d = delta.defined() ? delta.contiguous() : delta;
  const at::Tensor b = bias.defined() ? bias.to(at::kFloat).contiguous() : at::zeros(w.sizes(), w.options());
  const auto rows = x.sizes().slice(0, static_cast<size_t>(x.dim() - 1));
  LayerNormOutput out{d.defined() ? at::empty_like(x) : x, at::empty_like(x),
                      at::empty(rows, x.options().dtype(at::kFloat)), at::empty(rows, x.options().dtype(at::kFloat))};
  with_type(x.scalar_type(), [&]<class T>(T) { forward_typed<T>(x, d, w, b, eps, out); });
  return out;
}

LayerNormGrads cpu::layer_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const LayerNormOutput& forward,
                                        const at::Tensor& weight, bool want_dweight, double weight_offset) {
  const at::Tensor w = scale_of(weight, weight_offset), g = dy.contiguous();
  const at::Tensor ds = dsum.defined() ? dsum.contiguous() : dsum;
  const int64_t width = dy.size(-1), blocks = (forward.mean.numel() + kRowsPerBlock - 1) / kRowsPerBlock;
  LayerNormGrads grads{at::empty_like(forward.sum), {}, {}};
  at::Tensor partial;
  if (want_dweight) partial = at::zeros({blocks, 2, width}, w.options());
  with_type(g.scalar_type(), [&]<class T>(T) { backward_typed<T>(g, ds, forward, w, grads.dx, partial); });
  if (!want_dweight) return grads;
  at::Tensor total = at::zeros({2, width}, w.options());
  for (int64_t block = 0; block < blocks; ++block) total.add_(partial.select(0, block));
  grads.dweight = total.select(0, 0);
  grads.dbias = total.select(0, 1);
  return grads;
}

}  // namespace rialto::kernels
