// Activations on the CPU, one pass each way.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "rialto/kernels/activation.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;

template <class T>
struct Rows {
  const T *dy, *x;  ///< dy null: forward
  T* out;
  int64_t width;  ///< F
  float limit;
};

/// Each kind: act(x); for dy and the factor `u` that act(x) is multiplied by, the gradients of x and of u; and what is
/// added to up before it multiplies.
struct Silu {
  static constexpr float kShift = 0;
  static RIALTO_INLINE f32x8 value(f32x8 x) { return x * sigmoid(x); }
  static RIALTO_INLINE void gradients(f32x8 g, f32x8 x, f32x8 u, f32x8& dx, f32x8& du) {
    const f32x8 s = sigmoid(x);
    dx = g * u * s * (1.0F + x * (1.0F - s));
    du = g * x * s;
  }
};
struct GptOss {
  static constexpr float kShift = 1, kSlope = 1.702F;
  static RIALTO_INLINE f32x8 value(f32x8 x) { return x * sigmoid(kSlope * x); }
  static RIALTO_INLINE void gradients(f32x8 g, f32x8 x, f32x8 u, f32x8& dx, f32x8& du) {
    const f32x8 s = sigmoid(kSlope * x);
    dx = g * u * s * (1.0F + kSlope * x * (1.0F - s));
    du = g * x * s;
  }
};
/// (1 + tanh(v)) / 2 is sigmoid(2v), which loses nothing where tanh comes near -1.
struct GeluTanh {
  static constexpr float kShift = 0, kScale = 1.5957691216057308F, kCube = 0.044715F;  // kScale: 2 sqrt(2/pi)
  static RIALTO_INLINE f32x8 half(f32x8 x) { return sigmoid(kScale * (x + kCube * (x * x * x))); }
  static RIALTO_INLINE f32x8 value(f32x8 x) { return x * half(x); }
  static RIALTO_INLINE void gradients(f32x8 g, f32x8 x, f32x8 u, f32x8& dx, f32x8& du) {
    const f32x8 s = half(x), square = x * x;
    // Far out s (1 - s) is 0, and x^2 must not become infinity times that.
    const f32x8 finite = square < 1e4F ? square : splat(1e4F);
    dx = g * u * (s + x * (s * (1.0F - s)) * (kScale * (1.0F + 3 * kCube * finite)));
    du = g * x * s;
  }
};
struct Relu2 {
  static constexpr float kShift = 0;
  static RIALTO_INLINE f32x8 value(f32x8 x) {
    const f32x8 p = maximum(x, splat(0));
    return p * p;
  }
  static RIALTO_INLINE void gradients(f32x8 g, f32x8 x, f32x8 u, f32x8& dx, f32x8& du) {
    const f32x8 p = maximum(x, splat(0));
    dx = g * u * (2.0F * p);
    du = g * (p * p);
  }
};

/// v where |x| (or x itself) is within the limit, else 0.
RIALTO_INLINE f32x8 kept_below(f32x8 v, f32x8 x, float limit) { return as_float(as_int(v) & (x <= limit)); }
RIALTO_INLINE f32x8 kept_within(f32x8 v, f32x8 x, float limit) {
  return as_float(as_int(v) & (x <= limit) & (x >= -limit));
}
RIALTO_INLINE f32x8 at_most(f32x8 x, float limit) { return x > limit ? splat(limit) : x; }  // a NaN stays one
RIALTO_INLINE f32x8 at_least(f32x8 x, float limit) { return x < limit ? splat(limit) : x; }

template <class Act, bool clamped>
RIALTO_INLINE f32x8 gated(f32x8 gate, f32x8 up, float limit) {
  if constexpr (clamped) {
    gate = at_most(gate, limit);
    up = at_least(at_most(up, limit), -limit);
  }
  if constexpr (Act::kShift != 0) up += Act::kShift;
  return Act::value(gate) * up;
}

template <class Act, bool clamped>
RIALTO_INLINE void gated_gradients(f32x8 g, f32x8 gate, f32x8 up, float limit, f32x8& dgate, f32x8& dup) {
  f32x8 x = gate, u = up;
  if constexpr (clamped) {
    x = at_most(x, limit);
    u = at_least(at_most(u, limit), -limit);
  }
  if constexpr (Act::kShift != 0) u += Act::kShift;
  Act::gradients(g, x, u, dgate, dup);
  if constexpr (clamped) {
    dgate = kept_below(dgate, gate, limit);
    dup = kept_within(dup, up, limit);
  }
}

template <class Act, bool clamped, class T>
RIALTO_INLINE void gated_rows(const Rows<T>& a, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    const T *gate = a.x + row * 2 * a.width, *up = gate + a.width;
    if (!a.dy) {
      T* y = a.out + row * a.width;
      for (int64_t i = 0; i < a.width; i += kLanes) {
        const int64_t n = std::min(kLanes, a.width - i);
        store_some(y + i, gated<Act, clamped>(load_some(gate + i, n), load_some(up + i, n), a.limit), n);
      }
      continue;
    }
    const T* dy = a.dy + row * a.width;
    T *dgate = a.out + row * 2 * a.width, *dup = dgate + a.width;
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      f32x8 dg, du;
      gated_gradients<Act, clamped>(load_some(dy + i, n), load_some(gate + i, n), load_some(up + i, n), a.limit, dg,
                                    du);
      store_some(dgate + i, dg, n);
      store_some(dup + i, du, n);
    }
  }
}

template <class Act, class T>
RIALTO_INLINE void plain_rows(const Rows<T>& a, int64_t first, int64_t last) {
  for (int64_t at = first * a.width; at < last * a.width; at += kLanes) {
    const int64_t n = std::min(kLanes, last * a.width - at);
    const f32x8 x = load_some(a.x + at, n);
    if (!a.dy) {
      store_some(a.out + at, Act::value(x), n);
      continue;
    }
    f32x8 dx, unused;
    Act::gradients(load_some(a.dy + at, n), x, splat(1), dx, unused);
    store_some(a.out + at, dx, n);
  }
}

// One clone of each loop per dtype; a template cannot be cloned itself.
#define RIALTO_ROWS(name, loop)                                                                            \
  RIALTO_SIMD void name##_f32(const Rows<float>& a, int64_t first, int64_t last) { loop(a, first, last); } \
  RIALTO_SIMD void name##_bf16(const Rows<bf16>& a, int64_t first, int64_t last) { loop(a, first, last); } \
  RIALTO_SIMD void name##_f16(const Rows<f16>& a, int64_t first, int64_t last) { loop(a, first, last); }   \
  void name(const Rows<float>& a, int64_t first, int64_t last) { name##_f32(a, first, last); }             \
  void name(const Rows<bf16>& a, int64_t first, int64_t last) { name##_bf16(a, first, last); }             \
  void name(const Rows<f16>& a, int64_t first, int64_t last) { name##_f16(a, first, last); }
RIALTO_ROWS(swiglu, (gated_rows<Silu, false>))
RIALTO_ROWS(swiglu_clamped, (gated_rows<Silu, true>))
RIALTO_ROWS(geglu, (gated_rows<GeluTanh, true>))
RIALTO_ROWS(relu2_gated, (gated_rows<Relu2, true>))
RIALTO_ROWS(gpt_oss, (gated_rows<GptOss, true>))
RIALTO_ROWS(silu, plain_rows<Silu>)
RIALTO_ROWS(gelu, plain_rows<GeluTanh>)
RIALTO_ROWS(relu2, plain_rows<Relu2>)
#undef RIALTO_ROWS

template <class T>
void choose(const Activation& activation, const Rows<T>& a, int64_t first, int64_t last) {
  const bool clamped = a.limit < std::numeric_limits<float>::infinity();
  switch (activation.kind) {
    case ActivationKind::kSilu:
      if (!activation.gated) return silu(a, first, last);
      return clamped ? swiglu_clamped(a, first, last) : swiglu(a, first, last);
    case ActivationKind::kGeluTanh:
      return activation.gated ? geglu(a, first, last) : gelu(a, first, last);
    case ActivationKind::kRelu2:
      return activation.gated ? relu2_gated(a, first, last) : relu2(a, first, last);
    case ActivationKind::kGptOss:
      return gpt_oss(a, first, last);
  }
}

template <class T>
void typed(const Activation& activation, const at::Tensor& dy, const at::Tensor& x, at::Tensor& out) {
  const int64_t row = std::max<int64_t>(x.size(-1), 1);
  const Rows<T> args{dy.defined() ? dy.const_data_ptr<T>() : nullptr, x.const_data_ptr<T>(), out.data_ptr<T>(),
                     activation.gated ? row / 2 : row, static_cast<float>(activation.clamp)};
  at::parallel_for(0, x.numel() / row, 16, [&](int64_t first, int64_t last) { choose(activation, args, first, last); });
}

}  // namespace

at::Tensor cpu::activation_forward(const at::Tensor& x, const Activation& activation) {
  auto shape = x.sizes().vec();
  if (activation.gated) shape.back() /= 2;
  at::Tensor y = at::empty(shape, x.options());
  with_type(x.scalar_type(), [&]<class T>(T) { typed<T>(activation, {}, x, y); });
  return y;
}

at::Tensor cpu::activation_backward(const at::Tensor& dy, const at::Tensor& x, const Activation& activation) {
  at::Tensor dx = at::empty_like(x);
  with_type(x.scalar_type(), [&]<class T>(T) { typed<T>(activation, dy, x, dx); });
  return dx;
}

}  // namespace rialto::kernels
