// Eight fp32 lanes as a compiler vector, loaded from fp32, bf16 or fp16. Only for the *_cpu.cpp files, which are
// compiled for AVX2 (x86-64-v3): where the base has no 8-lane registers, GCC takes vectors apart before it inlines, and
// a broadcast becomes eight inserts. Functions marked RIALTO_SIMD exist for AVX-512 too; the machine's best is taken at
// start-up.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define RIALTO_SIMD __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define RIALTO_SIMD
#endif
#define RIALTO_INLINE __attribute__((always_inline)) inline

namespace rialto::kernels::simd {

using bf16 = c10::BFloat16;
using f16 = c10::Half;
using f32x8 = float __attribute__((vector_size(32)));
using i32x8 = int32_t __attribute__((vector_size(32)));
using u32x8 = uint32_t __attribute__((vector_size(32)));
using u16x8 = uint16_t __attribute__((vector_size(16)));
constexpr int64_t kLanes = 8;

RIALTO_INLINE f32x8 splat(float x) { return f32x8{x, x, x, x, x, x, x, x}; }
RIALTO_INLINE f32x8 as_float(i32x8 x) { return reinterpret_cast<f32x8>(x); }
RIALTO_INLINE i32x8 as_int(f32x8 x) { return reinterpret_cast<i32x8>(x); }

RIALTO_INLINE f32x8 load(const float* p) {
  f32x8 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
RIALTO_INLINE f32x8 load(const bf16* p) {
  u16x8 bits;
  std::memcpy(&bits, p, sizeof bits);
  return reinterpret_cast<f32x8>(__builtin_convertvector(bits, u32x8) << 16);
}
RIALTO_INLINE f32x8 load(const f16* p) {
  f32x8 v;
#if defined(__F16C__)
  __m128i bits;
  std::memcpy(&bits, p, sizeof bits);
  v = reinterpret_cast<f32x8>(_mm256_cvtph_ps(bits));
#else
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<float>(p[i]);
#endif
  return v;
}
RIALTO_INLINE void store(float* p, f32x8 v) { std::memcpy(p, &v, sizeof v); }
/// Rounds to nearest, ties to even; beyond 65504 (and a half step) it is infinity.
RIALTO_INLINE void store(f16* p, f32x8 v) {
#if defined(__F16C__)
  const __m128i bits = _mm256_cvtps_ph(reinterpret_cast<__m256>(v), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  std::memcpy(static_cast<void*>(p), &bits, sizeof bits);
#else
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<f16>(v[i]);
#endif
}
/// Rounds to nearest, ties to even; a NaN stays one.
RIALTO_INLINE void store(bf16* p, f32x8 v) {
  const u32x8 bits = reinterpret_cast<u32x8>(v);
  const u32x8 rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const u32x8 nan = reinterpret_cast<u32x8>((bits & 0x7fffffffU) > 0x7f800000U);
  const u16x8 out = __builtin_convertvector((nan & 0x7fc0U) | (~nan & rounded), u16x8);
  std::memcpy(p, &out, sizeof out);
}
/// The first n < 8 lanes; the others read as 0 and are not written.
template <class T>
RIALTO_INLINE f32x8 load_part(const T* p, int64_t n) {
  T lanes[kLanes] = {};
  std::memcpy(static_cast<void*>(lanes), p, static_cast<size_t>(n) * sizeof(T));
  return load(lanes);
}
template <class T>
RIALTO_INLINE void store_part(T* p, f32x8 v, int64_t n) {
  T lanes[kLanes];
  store(lanes, v);
  std::memcpy(static_cast<void*>(p), lanes, static_cast<size_t>(n) * sizeof(T));
}

/// run(T{}) with T the element type of a tensor that is_narrow (dispatch.h).
template <class Run>
decltype(auto) with_type(at::ScalarType type, const Run& run) {
  if (type == at::kFloat) return run(float{});
  return type == at::kHalf ? run(f16{}) : run(bf16{});
}

/// The first n of 8 lanes, whole vectors the fast way.
template <class T>
RIALTO_INLINE f32x8 load_some(const T* p, int64_t n) {
  return n == kLanes ? load(p) : load_part(p, n);
}
template <class T>
RIALTO_INLINE void store_some(T* p, f32x8 v, int64_t n) {
  n == kLanes ? store(p, v) : store_part(p, v, n);
}
/// v with zeros from lane n on.
RIALTO_INLINE f32x8 first_lanes(f32x8 v, int64_t n) {
  const i32x8 lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return as_float(as_int(v) & (lane < static_cast<int32_t>(n)));
}

RIALTO_INLINE float sum_lanes(f32x8 v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }
RIALTO_INLINE f32x8 maximum(f32x8 a, f32x8 b) { return a > b ? a : b; }
RIALTO_INLINE float max_lanes(f32x8 v) {
  float m = v[0];
  for (int i = 1; i < 8; ++i) m = m > v[i] ? m : v[i];
  return m;
}

/// e^x to about one unit in the last place; 0 below -87, where fp32 ends. x must not exceed 88.
/// Polynomial: Cephes expf (Moshier), on |r| <= ln(2) / 2.
RIALTO_INLINE f32x8 exp(f32x8 x) {
  const f32x8 low = splat(-87.0F);
  const i32x8 below = x < low;
  const f32x8 t = below ? low : x;
  const f32x8 magic = splat(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const f32x8 shifted = t * 1.44269504088896341F + magic;
  const f32x8 n = shifted - magic;
  const f32x8 r = (t - n * 0.693359375F) - n * -2.12194440e-4F;
  f32x8 p = splat(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const f32x8 y = p * (r * r) + r + 1.0F;
  const i32x8 exponent = (as_int(shifted) - as_int(magic)) << 23;
  return as_float((as_int(y) + exponent) & ~below);
}

/// 1 / (1 + e^-x), for any x.
RIALTO_INLINE f32x8 sigmoid(f32x8 x) {
  const f32x8 limit = splat(-80.0F);  // e^80 is finite
  const f32x8 t = x < limit ? limit : x;
  return 1.0F / (1.0F + exp(-t));
}

/// Hyperbolic tangent, for any x. Near 0 a polynomial (Cephes tanhf, Moshier), so that small values keep their digits.
RIALTO_INLINE f32x8 tanh(f32x8 x) {
  const f32x8 size = as_float(as_int(x) & 0x7fffffff), limit = splat(20.0F);  // tanh(20) rounds to 1
  const f32x8 far = 1.0F - 2.0F / (exp((size < limit ? size : limit) * 2.0F) + 1.0F);
  const f32x8 signed_far = as_float(as_int(far) | (as_int(x) & INT32_MIN));
  const f32x8 z = x * x;
  f32x8 p = splat(-5.70498872745E-3F);
  p = p * z + 2.06390887954E-2F;
  p = p * z - 5.37397155531E-2F;
  p = p * z + 1.33314422036E-1F;
  p = p * z - 3.33332819422E-1F;
  return size < 0.625F ? x + x * z * p : signed_far;
}

}  // namespace rialto::kernels::simd
