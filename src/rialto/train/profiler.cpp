// Starts, stops and writes traces.
#include "rialto/train/profiler.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/train/gpu.h"

namespace rialto::train {
namespace {

namespace kineto = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

void start_kineto(at::Device device, bool shapes) {
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO, shapes);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (device.is_cuda()) activities.insert(ActivityType::CUDA);
  kineto::prepareProfiler(config, activities);
  kineto::enableProfiler(config, activities,
                         {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE});
}

/// "snapshot.pickle" -> "snapshot_0.pickle", as Megatron Bridge names them.
fs::path with_rank(const fs::path& path, int64_t rank) {
  return path.parent_path() / fmt::format("{}_{}{}", path.stem().string(), rank, path.extension().string());
}

}  // namespace

Profiler::Profiler(const config::RunConfig& config, at::Device device, FileOps& ops, int64_t rank)
    : profiling_(config.profiling), ops_(ops), device_(device), rank_(rank), folder_(config.profiling.profile_dir) {
  if (folder_.empty()) folder_ = fs::path(config.checkpoint.save) / "profile";
  const auto needs_gpu = [&](bool asked, const char* key) {
    if (asked && device.is_cpu())
      throw Error(ErrorKind::kConfig, fmt::format("profiling.{}", key), "needs a GPU",
                  {.got = "true on the CPU", .want = "false", .hint = "profiling.use_pytorch_profiler works here"});
  };
  needs_gpu(profiling_.use_nsys_profiler, "use_nsys_profiler");
  needs_gpu(profiling_.nvtx_ranges, "nvtx_ranges");
  needs_gpu(profiling_.record_memory_history, "record_memory_history");
  const bool this_rank = std::ranges::count(profiling_.profile_ranks, rank) > 0;
  wanted_ = this_rank && (profiling_.use_pytorch_profiler || profiling_.use_nsys_profiler);
  if (this_rank && profiling_.record_memory_history) gpu::record_memory_history();
}

Profiler::~Profiler() {
  if (started_ && profiling_.use_pytorch_profiler) kineto::disableProfiler();  // a run that failed: no trace
}

void Profiler::before(int64_t iterations_done) {
  if (!wanted_ || started_ || iterations_done != profiling_.profile_step_start) return;
  started_ = iterations_done;
  if (profiling_.use_pytorch_profiler) start_kineto(device_, profiling_.record_shapes);
  if (profiling_.use_nsys_profiler) gpu::start_profiler();
}

void Profiler::after(int64_t iterations_done) {
  if (started_ && iterations_done >= profiling_.profile_step_end) stop(iterations_done);
  if (profiling_.record_memory_history && iterations_done == profiling_.profile_step_end &&
      std::ranges::count(profiling_.profile_ranks, rank_) > 0)
    write_file_atomically(ops_, with_rank(profiling_.memory_snapshot_path, rank_), gpu::memory_snapshot());
}

void Profiler::finish(int64_t iterations_done) {
  if (started_) stop(iterations_done);
}

void Profiler::stop(int64_t iterations_done) {
  const int64_t first = *started_;
  started_.reset();
  if (profiling_.use_nsys_profiler) gpu::stop_profiler();
  if (!profiling_.use_pytorch_profiler) return;
  const auto result = kineto::disableProfiler();
  ops_.make_dirs(folder_);
  const fs::path path = folder_ / fmt::format("rank_{}_iterations_{}-{}.json", rank_, first + 1, iterations_done);
  replace_file(ops_, path, [&](const fs::path& temporary) { result->save(temporary.string()); });
}

}  // namespace rialto::train
