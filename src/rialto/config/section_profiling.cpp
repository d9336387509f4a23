// Keys of `profiling:`: which iterations are traced, and how.
#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

Found one_profiler(const RunConfig& config) {
  if (!config.profiling.use_pytorch_profiler || !config.profiling.use_nsys_profiler) return {};
  return Finding{"two profilers at once", {.got = "use_pytorch_profiler and use_nsys_profiler", .want = "one of them"}};
}

Found end_after_start(const RunConfig& config) {
  const ProfilingSection& p = config.profiling;
  if (p.profile_step_end > p.profile_step_start) return {};
  return Finding{
      "no iteration is traced",
      {.got = fmt::format("profile_step_start {} and profile_step_end {}", p.profile_step_start, p.profile_step_end),
       .want = "profile_step_end after profile_step_start"}};
}

Found trace_has_a_place(const RunConfig& config) {
  const ProfilingSection& p = config.profiling;
  if (!p.use_pytorch_profiler || !p.profile_dir.empty() || !config.checkpoint.save.empty()) return {};
  return Finding{"the trace has no folder",
                 {.got = "profiling.profile_dir and checkpoint.save unset", .want = "profiling.profile_dir=DIR"}};
}

}  // namespace

void add_profiling_rows(std::vector<KeyRow>& rows) {
  using P = ProfilingSection;
  add_rows<P>(rows, "profiling", &RunConfig::profiling,
              {field("use_pytorch_profiler", &P::use_pytorch_profiler, "write a Chrome trace of the chosen iterations"),
               field("use_nsys_profiler", &P::use_nsys_profiler,
                     "start and stop CUDA's profiler around them, for nsys -c cudaProfilerApi; GPU only"),
               field("nvtx_ranges", &P::nvtx_ranges, "mark the phases of an iteration as NVTX ranges; GPU only"),
               field("profile_step_start", &P::profile_step_start, "iterations done before the trace begins"),
               field("profile_step_end", &P::profile_step_end, "iterations done when it ends"),
               field("profile_ranks", &P::profile_ranks, "ranks that write a trace"),
               field("profile_dir", &P::profile_dir, "folder of the traces; unset: SAVE/profile"),
               field("record_shapes", &P::record_shapes, "shapes of every operator in the trace"),
               field("record_memory_history", &P::record_memory_history,
                     "write the CUDA allocator's history at profile_step_end; GPU only"),
               field("memory_snapshot_path", &P::memory_snapshot_path, "file of that history")});
}

void add_profiling_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back({"R420", "profiling.use_nsys_profiler", "false, unless use_pytorch_profiler is", one_profiler});
  rules.push_back(
      integer_rule("R421", "profiling.profile_step_start", [](C c) { return c.profiling.profile_step_start; }, 0));
  rules.push_back({"R422", "profiling.profile_step_end", "after profile_step_start", end_after_start});
  rules.push_back({"R423", "profiling.profile_dir", "set, or checkpoint.save, for a trace", trace_has_a_place});
}

}  // namespace rialto::config
