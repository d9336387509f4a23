// RMSNorm on the CPU: one pass to add and square, one to scale; weight gradients in blocks of rows with a fixed order.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "rialto/kernels/rms_norm.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;
constexpr int64_t kRowsPerBlock = 32;

template <class T>
struct Forward {
  const T *x, *delta, *weight;
  T *sum, *y;
  float* rstd;
  int64_t width;
  float eps, offset;  ///< offset: added to the weight
};

template <class T>
RIALTO_INLINE void forward_rows(const Forward<T>& a, int64_t first, int64_t last) {
  const int64_t whole = a.width / kLanes * kLanes, rest = a.width - whole;
  for (int64_t row = first; row < last; ++row) {
    const T* x = a.x + row * a.width;
    const T* s = a.delta ? a.sum + row * a.width : x;
    f32x8 acc = splat(0);
    for (int64_t i = 0; i < whole; i += kLanes) {
      f32x8 v = load(x + i);
      if (a.delta) {
        store(a.sum + row * a.width + i, v + load(a.delta + row * a.width + i));
        v = load(s + i);  // as rounded
      }
      acc += v * v;
    }
    if (rest) {
      f32x8 v = load_part(x + whole, rest);
      if (a.delta) {
        store_part(a.sum + row * a.width + whole, v + load_part(a.delta + row * a.width + whole, rest), rest);
        v = load_part(s + whole, rest);
      }
      acc += v * v;
    }
    const float rstd = 1.0F / __builtin_sqrtf(sum_lanes(acc) / static_cast<float>(a.width) + a.eps);
    a.rstd[row] = rstd;
    T* y = a.y + row * a.width;
    for (int64_t i = 0; i < whole; i += kLanes) store(y + i, load(s + i) * rstd * (load(a.weight + i) + a.offset));
    if (rest)
      store_part(y + whole, load_part(s + whole, rest) * rstd * (load_part(a.weight + whole, rest) + a.offset), rest);
  }
}

RIALTO_SIMD void forward_f32(const Forward<float>& a, int64_t first, int64_t last) { forward_rows(a, first, last); }
RIALTO_SIMD void forward_bf16(const Forward<bf16>& a, int64_t first, int64_t last) { forward_rows(a, first, last); }
RIALTO_SIMD void forward_f16(const Forward<f16>& a, int64_t first, int64_t last) { forward_rows(a, first, last); }
void run(const Forward<float>& a, int64_t first, int64_t last) { forward_f32(a, first, last); }
void run(const Forward<bf16>& a, int64_t first, int64_t last) { forward_bf16(a, first, last); }
void run(const Forward<f16>& a, int64_t first, int64_t last) { forward_f16(a, first, last); }

template <class T>
struct Backward {
  const T *dy, *dsum, *sum, *weight;
  const float* rstd;
  T* dx;
  float* partial;  ///< [blocks, width], zeroed, or null
  int64_t width, rows;
  float offset;
};

template <class T>
RIALTO_INLINE void backward_block(const Backward<T>& a, int64_t block) {
  const int64_t whole = a.width / kLanes * kLanes, rest = a.width - whole;
  const int64_t last = std::min(a.rows, (block + 1) * kRowsPerBlock);
  float* partial = a.partial ? a.partial + block * a.width : nullptr;
  for (int64_t row = block * kRowsPerBlock; row < last; ++row) {
    const T *dy = a.dy + row * a.width, *s = a.sum + row * a.width;
    const T* dsum = a.dsum ? a.dsum + row * a.width : nullptr;
    T* dx = a.dx + row * a.width;
    const float rstd = a.rstd[row];
    f32x8 acc = splat(0);
    for (int64_t i = 0; i < whole; i += kLanes) {
      const f32x8 g = load(dy + i), n = load(s + i) * rstd;
      acc += g * (load(a.weight + i) + a.offset) * n;
      if (partial) store(partial + i, load(partial + i) + g * n);
    }
    if (rest) {
      const f32x8 g = load_part(dy + whole, rest), n = load_part(s + whole, rest) * rstd;
      acc += g * (load_part(a.weight + whole, rest) + a.offset) * n;
      if (partial) store_part(partial + whole, load_part(partial + whole, rest) + g * n, rest);
    }
    const float mean = sum_lanes(acc) / static_cast<float>(a.width);
    for (int64_t i = 0; i < whole; i += kLanes) {
      f32x8 d = (load(dy + i) * (load(a.weight + i) + a.offset) - load(s + i) * rstd * mean) * rstd;
      if (dsum) d += load(dsum + i);
      store(dx + i, d);
    }
    if (rest) {
      f32x8 d = (load_part(dy + whole, rest) * (load_part(a.weight + whole, rest) + a.offset) -
                 load_part(s + whole, rest) * rstd * mean) *
                rstd;
      if (dsum) d += load_part(dsum + whole, rest);
      store_part(dx + whole, d, rest);
    }
  }
}

RIALTO_SIMD void backward_f32(const Backward<float>& a, int64_t block) { backward_block(a, block); }
RIALTO_SIMD void backward_bf16(const Backward<bf16>& a, int64_t block) { backward_block(a, block); }
RIALTO_SIMD void backward_f16(const Backward<f16>& a, int64_t block) { backward_block(a, block); }
void run(const Backward<float>& a, int64_t block) { backward_f32(a, block); }
void run(const Backward<bf16>& a, int64_t block) { backward_bf16(a, block); }
void run(const Backward<f16>& a, int64_t block) { backward_f16(a, block); }

template <class T>
RmsNormOutput forward_typed(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                            double weight_offset) {
  const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
  RmsNormOutput out{delta.defined() ? at::empty_like(x) : x, at::empty_like(x),
                    at::empty(x.sizes().slice(0, x.dim() - 1), x.options().dtype(at::kFloat))};
  const Forward<T> args{x.const_data_ptr<T>(),
                        delta.defined() ? delta.const_data_ptr<T>() : nullptr,
                        weight.const_data_ptr<T>(),
                        delta.defined() ? out.sum.template data_ptr<T>() : nullptr,
                        out.y.template data_ptr<T>(),
                        out.rstd.template data_ptr<float>(),
                        width,
                        static_cast<float>(eps),
                        static_cast<float>(weight_offset)};
  at::parallel_for(0, rows, kRowsPerBlock, [&](int64_t first, int64_t last) { run(args, first, last); });
  return out;
}

template <class T>
RmsNormGrads backward_typed(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum, const at::Tensor& rstd,
                            const at::Tensor& weight, bool want_dweight, double weight_offset) {
  const int64_t width = sum.size(-1), rows = sum.numel() / std::max<int64_t>(width, 1);
  const int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
  RmsNormGrads grads{at::empty_like(sum), {}};
  at::Tensor partial;
  if (want_dweight) partial = at::zeros({blocks, width}, sum.options().dtype(at::kFloat));
  const Backward<T> args{dy.const_data_ptr<T>(),
                         dsum.defined() ? dsum.const_data_ptr<T>() : nullptr,
                         sum.const_data_ptr<T>(),
                         weight.const_data_ptr<T>(),
                         rstd.const_data_ptr<float>(),
                         grads.dx.template data_ptr<T>(),
                         want_dweight ? partial.data_ptr<float>() : nullptr,
                         width,
                         rows,
                         static_cast<float>(weight_offset)};
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) run(args, block);
  });
  if (want_dweight) {
    grads.dweight = at::zeros({width}, partial.options());
    float* total = grads.dweight.data_ptr<float>();
    const float* part = partial.const_data_ptr<float>();
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t i = 0; i < width; ++i) total[i] += part[block * width + i];
    }
  }
  return grads;
}

}  // namespace

RmsNormOutput cpu::rms_norm_forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps,
                                    double weight_offset) {
  const at::Tensor w = weight.to(x.scalar_type()).contiguous();
  const at::Tensor d = delta.defined() ? delta.contiguous() : delta;
  return with_type(x.scalar_type(), [&]<class T>(T) { return forward_typed<T>(x, d, w, eps, weight_offset); });
}

RmsNormGrads cpu::rms_norm_backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& sum,
                                    const at::Tensor& rstd, const at::Tensor& weight, bool want_dweight,
                                    double weight_offset) {
  const at::Tensor w = weight.to(sum.scalar_type()).contiguous(), g = dy.contiguous();
  const at::Tensor ds = dsum.defined() ? dsum.contiguous() : dsum;
  return with_type(sum.scalar_type(),
                   [&]<class T>(T) { return backward_typed<T>(g, ds, sum, rstd, w, want_dweight, weight_offset); });
}

}  // namespace rialto::kernels
