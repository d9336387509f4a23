// How much memory a process uses: its resident set, and on a GPU what the caching allocator says.
#pragma once

#include <c10/core/Device.h>

#include <map>
#include <string>

namespace rialto::train {

/// Gigabytes (1e9 bytes) under Megatron's names for a GPU (mem-allocated-gigabytes, mem-max-reserved-gigabytes, ...;
/// mem-alloc-retires is a count), and mem-resident-gigabytes and mem-max-resident-gigabytes for the process.
std::map<std::string, double> memory_use(at::Device device);

}  // namespace rialto::train
