// Small fp32 products on packed blocks in the first cache, for kernels that fuse something around them.
#pragma once

#include "rialto/kernels/simd.h"

namespace rialto::kernels::simd {

constexpr int64_t kTileRows = 6, kTileCols = 16;  // 12 accumulators, 2 of B and one of A: the 16 registers of AVX2

/// C [6,16] = A B, or C += A B; A's element (i, k) lies at a[i * row_step + k * depth_step].
template <bool accumulate>
RIALTO_INLINE void tile(int64_t depth, const float* a, int64_t row_step, int64_t depth_step, const float* b,
                        int64_t ldb, float* c, int64_t ldc) {
  f32x8 acc[kTileRows][2];
#pragma GCC unroll 6
  for (int64_t i = 0; i < kTileRows; ++i) {
    acc[i][0] = accumulate ? load(c + i * ldc) : splat(0);
    acc[i][1] = accumulate ? load(c + i * ldc + kLanes) : splat(0);
  }
  for (int64_t k = 0; k < depth; ++k) {
    const f32x8 b0 = load(b + k * ldb), b1 = load(b + k * ldb + kLanes);
#pragma GCC unroll 6
    for (int64_t i = 0; i < kTileRows; ++i) {
      const f32x8 x = splat(a[i * row_step + k * depth_step]);
      acc[i][0] += x * b0;
      acc[i][1] += x * b1;
    }
  }
#pragma GCC unroll 6
  for (int64_t i = 0; i < kTileRows; ++i) {
    store(c + i * ldc, acc[i][0]);
    store(c + i * ldc + kLanes, acc[i][1]);
  }
}

/// C [rows,cols] = (or +=) A B; rows a multiple of 6, cols of 16, B row-major [depth,cols].
template <bool accumulate>
RIALTO_INLINE void small_gemm(int64_t rows, int64_t cols, int64_t depth, const float* a, int64_t row_step,
                              int64_t depth_step, const float* b, int64_t ldb, float* c, int64_t ldc) {
  for (int64_t j = 0; j < cols; j += kTileCols) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      tile<accumulate>(depth, a + i * row_step, row_step, depth_step, b + j, ldb, c + i * ldc + j, ldc);
    }
  }
}

}  // namespace rialto::kernels::simd
