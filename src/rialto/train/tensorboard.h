// A run's records as TensorBoard events, under the tags that Megatron Bridge writes.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>

#include "rialto/config/run_config.h"
#include "rialto/formats/event_file.h"
#include "rialto/train/records.h"

namespace rialto::train {

class TensorBoard {
 public:
  /// A new event file in logger.tensorboard_dir. Of earlier ones, a run that goes on from `first_iteration` cuts off
  /// what lies after it; for a new run they no longer count.
  TensorBoard(FileOps& ops, const config::RunConfig& config, int64_t first_iteration, int64_t consumed_samples);
  /// Every iteration, since throughput is a mean over a window; events are written at the interval. `gradient_norms`:
  /// empty unless asked for.
  void step(const StepRecord& record, const std::map<std::string, double>& gradient_norms);
  /// At every step line: means since the last one.
  void interval(int64_t iteration, double mean_elapsed_ms, double tflops_per_device, double tflops);
  void evaluation(const EvalRecord& record);
  void flush() { file_.flush(); }
  static bool due(const config::LoggerSection& logger, int64_t iteration) {
    return iteration % logger.tensorboard_log_interval == 0;
  }

 private:
  void add_losses(const StepRecord& record);
  void add_throughput(const StepRecord& record);
  void add_runtime(const StepRecord& record);
  /// Twice: at the iteration and, as "<tag> vs samples", at the samples consumed.
  void add(const std::string& tag, double value, int64_t iteration, int64_t samples);

  const config::RunConfig& config_;
  const config::LoggerSection& logger_;
  int64_t first_iteration_, consumed_samples_;
  formats::EventFile file_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  struct Done {
    double ms = 0, samples = 0, tokens = 0;
  };
  std::deque<Done> window_;
  std::map<std::string, double> timed_ms_;  ///< phases since the last event
  int64_t timed_iterations_ = 0;
};

}  // namespace rialto::train
