// Traces of chosen iterations: Kineto's Chrome trace, CUDA's profiler, the CUDA allocator's history.
#pragma once

#include <c10/core/Device.h>

#include <optional>

#include "rialto/base/file_ops.h"
#include "rialto/config/run_config.h"

namespace rialto::train {

class Profiler {
 public:
  /// Does nothing unless `config` asks for it on this rank. Throws kConfig for what needs a GPU and has none.
  Profiler(const config::RunConfig& config, at::Device device, FileOps& ops, int64_t rank = 0);
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;
  /// Before an iteration, with the number of those done: starts at profile_step_start.
  void before(int64_t iterations_done);
  /// After one: at profile_step_end (or past it) stops and writes.
  void after(int64_t iterations_done);
  /// At the end of a run, which may come first: what was traced is written.
  void finish(int64_t iterations_done);

 private:
  void stop(int64_t iterations_done);

  const config::ProfilingSection& profiling_;
  FileOps& ops_;
  at::Device device_;
  int64_t rank_;
  fs::path folder_;
  std::optional<int64_t> started_;  ///< iterations done when the trace began; while it runs
  bool wanted_ = false;
};

}  // namespace rialto::train
