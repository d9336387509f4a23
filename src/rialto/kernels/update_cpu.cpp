// Updates on the CPU: one pass over gradient, moments, main parameters and weights, in blocks that stay in the first
// cache. What is stored narrow is widened to a block of fp32, updated by the same loop, and narrowed again.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "rialto/kernels/flat_update.h"
#include "rialto/kernels/simd.h"

namespace rialto::kernels {
namespace {

using simd::bf16;
using simd::f16;
constexpr int64_t kBlock = 4096;

/// What a rule updates, in fp32.
struct Block {
  float *main, *moment1, *moment2;
  const float* grad;
  int64_t count;
};

RIALTO_SIMD void widen(const bf16* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += simd::kLanes) {
    const int64_t n = std::min(simd::kLanes, count - i);
    simd::store_some(to + i, simd::load_some(from + i, n), n);
  }
}

template <class T>
RIALTO_INLINE void narrow_block(const float* from, T* to, int64_t count) {
  int64_t i = 0;
  for (; i + simd::kLanes <= count; i += simd::kLanes) simd::store(to + i, simd::load(from + i));
  if (i < count) simd::store_part(to + i, simd::load_part(from + i, count - i), count - i);
}
RIALTO_SIMD void narrow_bf16(const float* from, bf16* to, int64_t count) { narrow_block(from, to, count); }
RIALTO_SIMD void narrow_f16(const float* from, f16* to, int64_t count) { narrow_block(from, to, count); }
void narrow(const float* from, bf16* to, int64_t count) { narrow_bf16(from, to, count); }

/// Weights beside main parameters: those rounded, in bf16 or fp16.
void store_weights(const float* main, const at::Tensor& weights, int64_t begin, int64_t count) {
  if (weights.scalar_type() == at::kHalf)
    narrow_f16(main, weights.data_ptr<f16>() + begin, count);
  else
    narrow_bf16(main, weights.data_ptr<bf16>() + begin, count);
}

/// remainder.h: main from weight, remainder and the carrier's sign, which is taken off.
RIALTO_SIMD void join(const bf16* weights, const int16_t* remainder, float* carrier, float* main, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto carried = std::bit_cast<uint32_t>(carrier[i]);
    carrier[i] = std::bit_cast<float>(carried & 0x7fffffffU);
    const uint32_t upper = (static_cast<uint32_t>(weights[i].x) + (carried >> 31)) << 16;
    main[i] = std::bit_cast<float>(upper + static_cast<uint32_t>(static_cast<int32_t>(remainder[i])));
  }
}

/// The rest of main beside `weights`, which are main rounded.
RIALTO_SIMD void split(const float* main, const bf16* weights, int16_t* remainder, float* carrier, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t rest = std::bit_cast<uint32_t>(main[i]) - (static_cast<uint32_t>(weights[i].x) << 16);
    remainder[i] = static_cast<int16_t>(rest);
    const uint32_t sign = rest == 0x8000U ? 0x80000000U : 0;
    carrier[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(carrier[i]) | sign);
  }
}

/// A moment's block: in place, or widened into `scratch`.
float* open_moment(const at::Tensor& moment, int64_t begin, int64_t count, float* scratch) {
  if (!moment.defined()) return nullptr;
  if (moment.scalar_type() == at::kFloat) return moment.data_ptr<float>() + begin;
  widen(moment.const_data_ptr<bf16>() + begin, scratch, count);
  return scratch;
}

void close_moment(const at::Tensor& moment, int64_t begin, int64_t count, const float* scratch) {
  if (moment.defined() && moment.scalar_type() != at::kFloat) narrow(scratch, moment.data_ptr<bf16>() + begin, count);
}

template <class Rule>
void for_each_block(const FlatRange& range, const Rule& rule) {
  const int64_t size = range.grad.numel();
  const bool joined = !range.main.defined();
  bf16* const weights = joined ? range.weights.data_ptr<bf16>() : nullptr;
  at::parallel_for(0, (size + kBlock - 1) / kBlock, 4, [&](int64_t first, int64_t last) {
    float scratch[3][kBlock];
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * kBlock, count = std::min(size - begin, kBlock);
      Block block{scratch[0], open_moment(range.moment1, begin, count, scratch[1]),
                  open_moment(range.moment2, begin, count, scratch[2]), range.grad.const_data_ptr<float>() + begin,
                  count};
      if (joined)
        join(weights + begin, range.remainder.const_data_ptr<int16_t>() + begin, block.moment2, block.main, count);
      else
        block.main = range.main.data_ptr<float>() + begin;
      rule(block);
      if (range.weights.defined()) store_weights(block.main, range.weights, begin, count);
      if (joined) split(block.main, weights + begin, range.remainder.data_ptr<int16_t>() + begin, block.moment2, count);
      close_moment(range.moment1, begin, count, block.moment1);
      close_moment(range.moment2, begin, count, block.moment2);
    }
  });
}

struct Adam {
  float grad_scale, decay, keep, rate1, beta2, rate2, root_bias2, eps, step_size;
};

RIALTO_SIMD void adamw(const Adam& a, const Block& b) {
  for (int64_t i = 0; i < b.count; ++i) {
    const float g = b.grad[i] * a.grad_scale;
    const float m = b.moment1[i] + a.rate1 * (g - b.moment1[i]);
    const float v = b.moment2[i] * a.beta2 + a.rate2 * g * g;
    b.moment1[i] = m;
    b.moment2[i] = v;
    b.main[i] = b.main[i] * a.keep - a.step_size * (m / (__builtin_sqrtf(v) / a.root_bias2 + a.eps));
  }
}

RIALTO_SIMD void adam_l2(const Adam& a, const Block& b) {
  for (int64_t i = 0; i < b.count; ++i) {
    const float g = b.grad[i] * a.grad_scale + a.decay * b.main[i];
    const float m = b.moment1[i] + a.rate1 * (g - b.moment1[i]);
    const float v = b.moment2[i] * a.beta2 + a.rate2 * g * g;
    b.moment1[i] = m;
    b.moment2[i] = v;
    b.main[i] -= a.step_size * (m / (__builtin_sqrtf(v) / a.root_bias2 + a.eps));
  }
}

struct Sgd {
  float grad_scale, decay, momentum, lr;
};

RIALTO_SIMD void sgd(const Sgd& a, const Block& b) {
  for (int64_t i = 0; i < b.count; ++i) b.main[i] -= a.lr * (b.grad[i] * a.grad_scale + a.decay * b.main[i]);
}

RIALTO_SIMD void sgd_momentum(const Sgd& a, const Block& b) {
  for (int64_t i = 0; i < b.count; ++i) {
    b.moment1[i] = b.moment1[i] * a.momentum + (b.grad[i] * a.grad_scale + a.decay * b.main[i]);
    b.main[i] -= a.lr * b.moment1[i];
  }
}

struct Lion {
  float grad_scale, keep, beta1, rate1, rate2, lr;
};

RIALTO_SIMD void lion(const Lion& a, const Block& b) {
  for (int64_t i = 0; i < b.count; ++i) {
    const float g = b.grad[i] * a.grad_scale, m = b.moment1[i];
    const float c = m * a.beta1 + g * a.rate1;
    const float sign = static_cast<float>(c > 0) - static_cast<float>(c < 0);
    b.main[i] = b.main[i] * a.keep - a.lr * sign;
    b.moment1[i] = m + a.rate2 * (g - m);
  }
}

float f32(double value) { return static_cast<float>(value); }

}  // namespace

void cpu::adam_update(const FlatRange& range, const AdamStep& step) {
  const Adam args{f32(step.grad_scale),       f32(step.weight_decay), f32(1 - step.lr * step.weight_decay),
                  f32(1 - step.beta1),        f32(step.beta2),        f32(1 - step.beta2),
                  f32(std::sqrt(step.bias2)), f32(step.eps),          f32(step.lr / step.bias1)};
  if (step.decoupled)
    for_each_block(range, [&](const Block& block) { adamw(args, block); });
  else
    for_each_block(range, [&](const Block& block) { adam_l2(args, block); });
}

void cpu::sgd_update(const FlatRange& range, const SgdStep& step) {
  const Sgd args{f32(step.grad_scale), f32(step.weight_decay), f32(step.momentum), f32(step.lr)};
  if (range.moment1.defined())
    for_each_block(range, [&](const Block& block) { sgd_momentum(args, block); });
  else
    for_each_block(range, [&](const Block& block) { sgd(args, block); });
}

void cpu::lion_update(const FlatRange& range, const LionStep& step) {
  const Lion args{f32(step.grad_scale), f32(1 - step.lr * step.weight_decay),
                  f32(step.beta1),      f32(1 - step.beta1),
                  f32(1 - step.beta2),  f32(step.lr)};
  for_each_block(range, [&](const Block& block) { lion(args, block); });
}

}  // namespace rialto::kernels
