// Rows to experts and back on the CPU: each output row is written once, by one thread.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "rialto/kernels/permute.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using namespace simd;

template <class T>
struct Rows {
  const T* from;           ///< spread: [T,H]; combine and dots: [P,H]
  const T* other;          ///< dots: [T,H]
  const float* weights;    ///< [T,K] or null
  const int64_t* index;    ///< spread: slot of each place; else: place of each slot
  T* out;                  ///< spread: [P,H]; combine: [T,H]
  float* dots;             ///< [T,K]
  int64_t choices, width;  ///< K, H
};

template <class T>
RIALTO_INLINE void spread_rows(const Rows<T>& a, int64_t first, int64_t last) {
  for (int64_t place = first; place < last; ++place) {
    const int64_t slot = a.index[place];
    const T* x = a.from + slot / a.choices * a.width;
    T* y = a.out + place * a.width;
    if (!a.weights) {
      std::memcpy(static_cast<void*>(y), x, static_cast<size_t>(a.width) * sizeof(T));
      continue;
    }
    const f32x8 w = splat(a.weights[slot]);
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      store_some(y + i, load_some(x + i, n) * w, n);
    }
  }
}

template <class T>
RIALTO_INLINE void combine_rows(const Rows<T>& a, int64_t first, int64_t last) {
  for (int64_t token = first; token < last; ++token) {
    const int64_t* place = a.index + token * a.choices;
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      f32x8 sum = splat(0);
      for (int64_t j = 0; j < a.choices; ++j) {
        if (place[j] < 0) continue;
        const f32x8 v = load_some(a.from + place[j] * a.width + i, n);
        sum += a.weights ? v * a.weights[token * a.choices + j] : v;
      }
      store_some(a.out + token * a.width + i, sum, n);
    }
  }
}

template <class T>
RIALTO_INLINE void dots_rows(const Rows<T>& a, int64_t first, int64_t last) {
  for (int64_t slot = first; slot < last; ++slot) {
    if (a.index[slot] < 0) {
      a.dots[slot] = 0;
      continue;
    }
    const T *x = a.other + slot / a.choices * a.width, *y = a.from + a.index[slot] * a.width;
    f32x8 sum = splat(0);
    for (int64_t i = 0; i < a.width; i += kLanes) {
      const int64_t n = std::min(kLanes, a.width - i);
      sum += load_some(x + i, n) * load_some(y + i, n);
    }
    a.dots[slot] = sum_lanes(sum);
  }
}

// One clone of each loop per dtype; a template cannot be cloned itself.
#define RIALTO_MOVE(loop)                                                                                         \
  RIALTO_SIMD void loop##_f32(const Rows<float>& a, int64_t first, int64_t last) { loop##_rows(a, first, last); } \
  RIALTO_SIMD void loop##_bf16(const Rows<bf16>& a, int64_t first, int64_t last) { loop##_rows(a, first, last); } \
  RIALTO_SIMD void loop##_f16(const Rows<f16>& a, int64_t first, int64_t last) { loop##_rows(a, first, last); }   \
  void loop(const Rows<float>& a, int64_t first, int64_t last) { loop##_f32(a, first, last); }                    \
  void loop(const Rows<bf16>& a, int64_t first, int64_t last) { loop##_bf16(a, first, last); }                    \
  void loop(const Rows<f16>& a, int64_t first, int64_t last) { loop##_f16(a, first, last); }
RIALTO_MOVE(spread)
RIALTO_MOVE(combine)
RIALTO_MOVE(dots)
#undef RIALTO_MOVE

template <class T>
Rows<T> rows_of(const at::Tensor& from, const at::Tensor& index, const at::Tensor& place_TK) {
  Rows<T> rows{};
  rows.from = from.const_data_ptr<T>();
  rows.index = index.const_data_ptr<int64_t>();
  rows.choices = place_TK.size(1);
  rows.width = from.size(1);
  return rows;
}

template <class T, class Run>
at::Tensor moved(const at::Tensor& from, const at::Tensor& index, const ExpertOrder& order, const at::Tensor& weights,
                 int64_t count, const Run& run) {
  at::Tensor out = at::empty({count, from.size(1)}, from.options());
  Rows<T> rows = rows_of<T>(from, index, order.place_TK);
  rows.weights = weights.defined() ? weights.const_data_ptr<float>() : nullptr;
  rows.out = out.data_ptr<T>();
  at::parallel_for(0, count, 16, [&](int64_t first, int64_t last) { run(rows, first, last); });
  return out;
}

}  // namespace

at::Tensor cpu::spread_rows(const at::Tensor& x_TH, const ExpertOrder& order, const at::Tensor& weights_TK) {
  const int64_t count = order.slot_P.numel();
  return with_type(x_TH.scalar_type(), [&]<class T>(T) {
    return moved<T>(x_TH, order.slot_P, order, weights_TK, count,
                    [](const Rows<T>& rows, int64_t first, int64_t last) { spread(rows, first, last); });
  });
}

at::Tensor cpu::combine_rows(const at::Tensor& y_PH, const ExpertOrder& order, const at::Tensor& weights_TK) {
  const int64_t count = order.place_TK.size(0);
  return with_type(y_PH.scalar_type(), [&]<class T>(T) {
    return moved<T>(y_PH, order.place_TK, order, weights_TK, count,
                    [](const Rows<T>& rows, int64_t first, int64_t last) { combine(rows, first, last); });
  });
}

at::Tensor cpu::slot_dots(const at::Tensor& x_TH, const at::Tensor& y_PH, const ExpertOrder& order) {
  at::Tensor out = at::empty(order.place_TK.sizes(), x_TH.options().dtype(at::kFloat));
  with_type(x_TH.scalar_type(), [&]<class T>(T) {
    Rows<T> rows = rows_of<T>(y_PH, order.place_TK, order.place_TK);
    rows.other = x_TH.const_data_ptr<T>();
    rows.dots = out.data_ptr<float>();
    at::parallel_for(0, out.numel(), 64, [&](int64_t first, int64_t last) { dots(rows, first, last); });
  });
  return out;
}

}  // namespace rialto::kernels
