// The training loop: iterations, evaluations and saves in their order, until the end or a reason to stop.
#pragma once

#include "rialto/train/iteration.h"
#include "rialto/train/reporter.h"
#include "rialto/train/saver.h"
#include "rialto/train/setup.h"

namespace rialto::train {

class Loop {
 public:
  /// Sets up the run; nothing is written. `config` and `hooks` must outlive the loop. Throws as set_up does.
  Loop(const config::RunConfig& config, const Hooks& hooks);
  Result run();

 private:
  void iterate();
  void evaluate_now(bool at_end);
  /// Why the run ends after this iteration though it is not the last.
  std::optional<End> reason_to_stop() const;
  [[noreturn]] void stop_not_finite(const StepRecord& record);

  const config::RunConfig& config_;
  const Hooks& hooks_;
  Setup setup_;
  Saver saver_;
  std::optional<Reporter> reporter_;  ///< from run() on: it writes
  Result result_;
};

}  // namespace rialto::train
