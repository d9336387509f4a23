// The soft cap on the CPU: one pass.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>

#include "rialto/kernels/simd.h"
#include "rialto/kernels/soft_cap.h"

namespace rialto::kernels {
namespace {

using namespace simd;

struct Capped {
  float *x, *slope;  ///< slope: null when not wanted
  float cap, inverse;
};

RIALTO_SIMD void cap_range(const Capped& a, int64_t first, int64_t last) {
  for (int64_t i = first; i < last; i += kLanes) {
    const int64_t count = last - i < kLanes ? last - i : kLanes;
    const f32x8 t = tanh(load_some(a.x + i, count) * a.inverse);
    store_some(a.x + i, t * a.cap, count);
    if (a.slope) store_some(a.slope + i, 1.0F - t * t, count);
  }
}

}  // namespace

at::Tensor cpu::soft_cap(at::Tensor x, double cap, bool want_slope) {
  const at::Tensor slope = want_slope ? at::empty_like(x) : at::Tensor();
  const Capped args{x.data_ptr<float>(), want_slope ? slope.data_ptr<float>() : nullptr, static_cast<float>(cap),
                    static_cast<float>(1 / cap)};
  at::parallel_for(0, x.numel(), 4096, [&](int64_t first, int64_t last) { cap_range(args, first, last); });
  return slope;
}

}  // namespace rialto::kernels
