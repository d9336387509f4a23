// Memory of this process. Sources: /proc/self/status; c10's DeviceStats. Names: Megatron Bridge, report_memory.
#include "rialto/train/memory_use.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <charconv>
#include <fstream>
#include <iterator>

namespace rialto::train {
namespace {

/// A line "VmRSS:     1234 kB" in gigabytes; 0 where there is none.
double status_gigabytes(const std::string& status, std::string_view name) {
  const size_t line = status.find(name);
  if (line == std::string::npos) return 0;
  const size_t digits = status.find_first_of("0123456789", line);
  if (digits == std::string::npos) return 0;
  double kilobytes = 0;
  std::from_chars(status.data() + digits, status.data() + status.size(), kilobytes);
  return kilobytes * 1024 / 1e9;
}

void add_device(at::Device device, std::map<std::string, double>& memory) {
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto add = [&](const char* name, const auto& stat) {
    memory[std::string("mem-") + name + "-gigabytes"] = static_cast<double>(stat[kAll].current) / 1e9;
    memory[std::string("mem-max-") + name + "-gigabytes"] = static_cast<double>(stat[kAll].peak) / 1e9;
  };
  add("allocated", stats.allocated_bytes);
  add("active", stats.active_bytes);
  add("inactive", stats.inactive_split_bytes);
  add("reserved", stats.reserved_bytes);
  memory["mem-alloc-retires"] = static_cast<double>(stats.num_alloc_retries);
}

}  // namespace

std::map<std::string, double> memory_use(at::Device device) {
  std::map<std::string, double> memory;
  std::ifstream file("/proc/self/status");  // files of /proc say that they are empty: read to the end
  const std::string status{std::istreambuf_iterator<char>(file), {}};
  memory["mem-resident-gigabytes"] = status_gigabytes(status, "VmRSS:");
  memory["mem-max-resident-gigabytes"] = status_gigabytes(status, "VmHWM:");
  if (!device.is_cpu()) add_device(device, memory);
  return memory;
}

}  // namespace rialto::train
