// What a run tells of itself: records to the metrics file and the hooks, Megatron's lines at every log_interval.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "rialto/train/metrics.h"
#include "rialto/train/records.h"
#include "rialto/train/train.h"

namespace rialto::train {

class Reporter {
 public:
  /// Opens the metrics file (logger.metrics_jsonl, else SAVE/metrics.jsonl, else none), cut to `resumed_iteration`.
  Reporter(const config::RunConfig& config, const Hooks& hooks, int64_t resumed_iteration);
  void step(const StepRecord& record);
  void evaluation(const EvalRecord& record);
  /// What was reported is on disk afterwards.
  void sync();
  fs::path metrics_path() const { return metrics_ ? metrics_->path() : fs::path(); }

 private:
  const config::RunConfig& config_;
  const Hooks& hooks_;
  std::optional<MetricsFile> metrics_;
  /// Sums since the last step line; losses of iterations that were not skipped.
  struct {
    int64_t count = 0, num_skipped = 0;
    double loss = 0, elapsed_ms = 0, flops = 0;
    std::map<std::string, double> extra = {};
  } logged_;
};

}  // namespace rialto::train
