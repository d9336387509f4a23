// SwiGLU on the CPU, one pass each way.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "rialto/kernels/simd.h"
#include "rialto/kernels/swiglu.h"

namespace rialto::kernels {
namespace {

using namespace simd;

template <class T>
struct Rows {
  const T *dy, *x;  ///< dy null: forward
  T* out;
  int64_t width;  ///< F
};

RIALTO_INLINE void gradients(f32x8 g, f32x8 gate, f32x8 up, f32x8& dgate, f32x8& dup) {
  const f32x8 s = sigmoid(gate);
  dgate = g * up * s * (1.0F + gate * (1.0F - s));
  dup = g * gate * s;
}

template <class T>
RIALTO_INLINE void rows(const Rows<T>& a, int64_t first, int64_t last) {
  const int64_t whole = a.width / kLanes * kLanes, rest = a.width - whole;
  for (int64_t row = first; row < last; ++row) {
    const T *gate = a.x + row * 2 * a.width, *up = gate + a.width;
    if (!a.dy) {
      T* y = a.out + row * a.width;
      for (int64_t i = 0; i < whole; i += kLanes) {
        const f32x8 v = load(gate + i);
        store(y + i, v * sigmoid(v) * load(up + i));
      }
      if (rest) {
        const f32x8 v = load_part(gate + whole, rest);
        store_part(y + whole, v * sigmoid(v) * load_part(up + whole, rest), rest);
      }
      continue;
    }
    const T* dy = a.dy + row * a.width;
    T *dgate = a.out + row * 2 * a.width, *dup = dgate + a.width;
    f32x8 dg, du;
    for (int64_t i = 0; i < whole; i += kLanes) {
      gradients(load(dy + i), load(gate + i), load(up + i), dg, du);
      store(dgate + i, dg);
      store(dup + i, du);
    }
    if (rest) {
      gradients(load_part(dy + whole, rest), load_part(gate + whole, rest), load_part(up + whole, rest), dg, du);
      store_part(dgate + whole, dg, rest);
      store_part(dup + whole, du, rest);
    }
  }
}

RIALTO_SIMD void rows_f32(const Rows<float>& a, int64_t first, int64_t last) { rows(a, first, last); }
RIALTO_SIMD void rows_bf16(const Rows<bf16>& a, int64_t first, int64_t last) { rows(a, first, last); }
void run(const Rows<float>& a, int64_t first, int64_t last) { rows_f32(a, first, last); }
void run(const Rows<bf16>& a, int64_t first, int64_t last) { rows_bf16(a, first, last); }

template <class T>
void typed(const at::Tensor& dy, const at::Tensor& x, at::Tensor& out) {
  const Rows<T> args{dy.defined() ? dy.const_data_ptr<T>() : nullptr, x.const_data_ptr<T>(), out.data_ptr<T>(),
                     x.size(-1) / 2};
  at::parallel_for(0, x.numel() / std::max<int64_t>(x.size(-1), 1), 16,
                   [&](int64_t first, int64_t last) { run(args, first, last); });
}

}  // namespace

at::Tensor cpu::swiglu_forward(const at::Tensor& x) {
  auto shape = x.sizes().vec();
  shape.back() /= 2;
  at::Tensor y = at::empty(shape, x.options());
  x.scalar_type() == at::kFloat ? typed<float>({}, x, y) : typed<bf16>({}, x, y);
  return y;
}

at::Tensor cpu::swiglu_backward(const at::Tensor& dy, const at::Tensor& x) {
  at::Tensor dx = at::empty_like(x);
  x.scalar_type() == at::kFloat ? typed<float>(dy, x, dx) : typed<bf16>(dy, x, dx);
  return dx;
}

}  // namespace rialto::kernels
