// The training loop: iterations, evaluations and saves in their order, until the end or a reason to stop.
#pragma once

#include <chrono>

#include "rialto/train/iteration.h"
#include "rialto/train/profiler.h"
#include "rialto/train/reporter.h"
#include "rialto/train/samples.h"
#include "rialto/train/saver.h"
#include "rialto/train/setup.h"

namespace rialto::train {

class Loop {
 public:
  /// Sets up the run; nothing is written. `config` and `hooks` must outlive the loop. Throws as set_up does.
  Loop(const config::RunConfig& config, const Hooks& hooks);
  Result run();

 private:
  void train();
  bool iterate();  ///< false: the run went back to a checkpoint instead
  void evaluate_now(EvalPart part);
  void evaluate_at_end();
  bool evaluation_due() const;
  double minutes() const;  ///< since the run began
  /// Why the run ends after this iteration though it is not the last; says so.
  std::optional<End> reason_to_stop() const;
  void save();
  /// Does what the resilience section says about an iteration that moved nothing.
  bool resolve(IterationOutcome& outcome);  ///< as iterate
  void rewind(int64_t failed_iteration);
  [[noreturn]] void stop_at(const StepRecord& record, const std::string& what, const std::string& why = "");

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const Hooks& hooks_;
  Setup setup_;
  const config::RunConfig& config_;  ///< setup_'s
  Saver saver_;
  Profiler profiler_;
  std::optional<Reporter> reporter_;     ///< from run() on: it writes
  std::optional<SampleWriter> samples_;  ///< when logger.sample_tokens asks for them, on the rank that writes
  Result result_;
};

}  // namespace rialto::train
