// What a run tells of itself: records to the metrics file, the hooks and TensorBoard, Megatron's lines at every
// log_interval.
#pragma once

#include <c10/core/Device.h>

#include <map>
#include <optional>
#include <string>

#include "rialto/checkpoint/checkpoint.h"
#include "rialto/train/record_file.h"
#include "rialto/train/records.h"
#include "rialto/train/setup.h"
#include "rialto/train/tensorboard.h"
#include "rialto/train/train.h"

namespace rialto::train {

class Reporter {
 public:
  /// Opens the metrics file (logger.metrics_jsonl, else SAVE/metrics.jsonl, else none), cut to the iteration resumed
  /// from, and an event file if there is a folder for them; writes logger.save_config_filepath.
  Reporter(const config::RunConfig& config, const Hooks& hooks, const checkpoint::TrainingState& state,
           at::Device device);
  /// Adds to the record what was asked for (norms, memory) and tells it; the weights still hold the iteration's
  /// gradients. Collective over the ranks.
  void step(StepRecord record, const Setup& setup);
  void left_out(const LeftOutRecord& record);
  void evaluation(const EvalRecord& record);
  void sample(const SampleRecord& record);
  /// What was reported is on disk afterwards.
  void sync();
  fs::path metrics_path() const { return metrics_ ? metrics_->path() : fs::path(); }

 private:
  void step_lines(const StepRecord& record, const Setup& setup);

  const config::RunConfig& config_;
  const Hooks& hooks_;
  at::Device device_;
  std::optional<double> peak_tflops_;
  std::optional<RecordFile> metrics_;
  std::optional<TensorBoard> tensorboard_;
  /// Sums since the last step line.
  struct {
    int64_t trained = 0;
    SkipCounts skips = {};
    double loss = 0, elapsed_ms = 0, flops = 0;
    std::map<std::string, double> extra = {}, phases_ms = {};
  } logged_;
};

}  // namespace rialto::train
