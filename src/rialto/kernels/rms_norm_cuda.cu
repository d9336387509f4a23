// RMSNorm on the GPU: one block of threads per row, fp32 inside.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "rialto/kernels/rms_norm_launch.h"

namespace rialto::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__device__ float to_float(float x) { return x; }
__device__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ float to_float(__half x) { return __half2float(x); }
__device__ void assign(float* p, float x) { *p = x; }
__device__ void assign(__nv_bfloat16* p, float x) { *p = __float2bfloat16_rn(x); }
__device__ void assign(__half* p, float x) { *p = __float2half_rn(x); }

/// Sum over the block, in a fixed order; every thread gets it.
__device__ float block_sum(float x) {
  __shared__ float warps[kThreads / 32];
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffU, x, step);
  __syncthreads();  // the previous sum has been read
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
  __syncthreads();
  float total = 0;
  for (int w = 0; w < kThreads / 32; ++w) total += warps[w];
  return total;
}

template <class T>
__global__ void forward(ForwardArgs a) {
  const int64_t start = static_cast<int64_t>(blockIdx.x) * a.width;
  const T* x = static_cast<const T*>(a.x) + start;
  const T* delta = a.delta ? static_cast<const T*>(a.delta) + start : nullptr;
  T* sum = a.sum ? static_cast<T*>(a.sum) + start : nullptr;
  const T* weight = static_cast<const T*>(a.weight);
  T* y = static_cast<T*>(a.y) + start;
  float square = 0;
  for (int64_t i = threadIdx.x; i < a.width; i += kThreads) {
    if (delta) assign(sum + i, to_float(x[i]) + to_float(delta[i]));
    const float v = to_float(delta ? sum[i] : x[i]);
    square += v * v;
  }
  const float rstd = rsqrtf(block_sum(square) / static_cast<float>(a.width) + a.eps);
  if (threadIdx.x == 0) a.rstd[blockIdx.x] = rstd;
  for (int64_t i = threadIdx.x; i < a.width; i += kThreads) {
    assign(y + i, to_float(delta ? sum[i] : x[i]) * rstd * (to_float(weight[i]) + a.offset));
  }
}

template <class T>
__global__ void backward(BackwardArgs a) {
  const T* weight = static_cast<const T*>(a.weight);
  const int64_t per_block = (a.rows + gridDim.x - 1) / gridDim.x;
  const int64_t first = blockIdx.x * per_block, last = min(a.rows, first + per_block);
  for (int64_t row = first; row < last; ++row) {
    const int64_t start = row * a.width;
    const T *dy = static_cast<const T*>(a.dy) + start, *sum = static_cast<const T*>(a.sum) + start;
    const T* dsum = a.dsum ? static_cast<const T*>(a.dsum) + start : nullptr;
    T* dx = static_cast<T*>(a.dx) + start;
    const float rstd = a.rstd[row];
    float dot = 0;
    for (int64_t i = threadIdx.x; i < a.width; i += kThreads) {
      const float g = to_float(dy[i]), n = to_float(sum[i]) * rstd;
      dot += g * (to_float(weight[i]) + a.offset) * n;
      // A column belongs to one thread of the block, so rows are added in order.
      if (a.partial) a.partial[static_cast<int64_t>(blockIdx.x) * a.width + i] += g * n;
    }
    const float mean = block_sum(dot) / static_cast<float>(a.width);
    for (int64_t i = threadIdx.x; i < a.width; i += kThreads) {
      float d = (to_float(dy[i]) * (to_float(weight[i]) + a.offset) - to_float(sum[i]) * rstd * mean) * rstd;
      if (dsum) d += to_float(dsum[i]);
      assign(dx + i, d);
    }
  }
}

}  // namespace

cudaError_t launch(const ForwardArgs& args, cudaStream_t stream) {
  if (args.rows == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>(args.rows);
  switch (args.element) {
    case Element::kF32:
      forward<float><<<blocks, kThreads, 0, stream>>>(args);
      break;
    case Element::kBF16:
      forward<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(args);
      break;
    case Element::kF16:
      forward<__half><<<blocks, kThreads, 0, stream>>>(args);
      break;
  }
  return cudaGetLastError();
}

cudaError_t launch(const BackwardArgs& args, cudaStream_t stream) {
  if (args.rows == 0) return cudaSuccess;
  switch (args.element) {
    case Element::kF32:
      backward<float><<<kGradBlocks, kThreads, 0, stream>>>(args);
      break;
    case Element::kBF16:
      backward<__nv_bfloat16><<<kGradBlocks, kThreads, 0, stream>>>(args);
      break;
    case Element::kF16:
      backward<__half><<<kGradBlocks, kThreads, 0, stream>>>(args);
      break;
  }
  return cudaGetLastError();
}

}  // namespace rialto::kernels::cuda
