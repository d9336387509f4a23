// Calls into CUDA's run-time library and LibTorch's CUDA half.
#include <cuda_runtime_api.h>
#include <torch/csrc/cuda/memory_snapshot.h>

#include "rialto/base/error.h"
#include "rialto/train/gpu.h"

// cuda_profiler_api.h, which the wheels leave out.
extern "C" cudaError_t cudaProfilerStart();
extern "C" cudaError_t cudaProfilerStop();

namespace rialto::train::gpu {
namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw Error(ErrorKind::kConfig, "profiling", what, {.got = cudaGetErrorString(status)});
}

}  // namespace

std::string device_name(int64_t index) {
  cudaDeviceProp properties = {};
  check(cudaGetDeviceProperties(&properties, static_cast<int>(index)), "the GPU does not say what it is");
  return properties.name;
}

void start_profiler() { check(cudaProfilerStart(), "CUDA's profiler does not start"); }
void stop_profiler() { check(cudaProfilerStop(), "CUDA's profiler does not stop"); }

void record_memory_history() {
  torch::cuda::_record_memory_history(std::optional<std::string>("all"), std::optional<std::string>("all"), "all",
                                      100'000);
}
std::string memory_snapshot() { return torch::cuda::_memory_snapshot_pickled(); }

}  // namespace rialto::train::gpu
