// Launchers of the RMSNorm CUDA kernels, in plain pointers: nvcc compiles no torch header.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace rialto::kernels::cuda {

/// Blocks of rows whose weight gradients are summed apart; fixed, so that the result does not depend on the GPU.
constexpr int kGradBlocks = 256;

enum class Element { kF32, kBF16, kF16 };

struct ForwardArgs {
  const void *x, *delta, *weight;  ///< delta null: none
  void *sum, *y;                   ///< sum null without delta
  float* rstd;
  int64_t rows, width;
  float eps, offset;  ///< offset: added to the weight
  Element element;
};
struct BackwardArgs {
  const void *dy, *dsum, *sum, *weight;  ///< dsum null: none
  const float* rstd;
  void* dx;
  float* partial;  ///< [kGradBlocks, width], zeroed, or null
  int64_t rows, width;
  float offset;
  Element element;
};
cudaError_t launch(const ForwardArgs& args, cudaStream_t stream);
cudaError_t launch(const BackwardArgs& args, cudaStream_t stream);

}  // namespace rialto::kernels::cuda
