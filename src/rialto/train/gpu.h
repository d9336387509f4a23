// What only CUDA's own library can do; without it each function throws kConfig, and there is no name.
#pragma once

#include <cstdint>
#include <string>

namespace rialto::train::gpu {

/// "NVIDIA H100 80GB HBM3".
std::string device_name(int64_t index);
/// Starts and stops what `nsys profile -c cudaProfilerApi` records.
void start_profiler();
void stop_profiler();
/// From now on the caching allocator remembers its last 100000 events.
void record_memory_history();
/// The pickle that PyTorch's memory viewer opens.
std::string memory_snapshot();

}  // namespace rialto::train::gpu
