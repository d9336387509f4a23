// The same without CUDA.
#include "rialto/base/error.h"
#include "rialto/train/gpu.h"

namespace rialto::train::gpu {
namespace {

[[noreturn]] void refuse() { throw Error(ErrorKind::kConfig, "profiling", "this build has no CUDA"); }

}  // namespace

std::string device_name(int64_t) { return {}; }
void start_profiler() { refuse(); }
void stop_profiler() { refuse(); }
void record_memory_history() { refuse(); }
std::string memory_snapshot() { refuse(); }

}  // namespace rialto::train::gpu
