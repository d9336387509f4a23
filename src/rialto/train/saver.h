// Saves a run's state, and knows its newest checkpoint.
#pragma once

#include <optional>

#include "rialto/train/record_file.h"
#include "rialto/train/setup.h"
#include "rialto/train/train.h"

namespace rialto::train {

class Saver {
 public:
  /// All three must outlive it.
  Saver(const config::RunConfig& config, const Hooks& hooks, Setup& setup);
  /// Saves the state as it is, once per iteration; nothing without checkpoint.save. Throws kInternal when the weights
  /// are not finite.
  void save();
  /// Saved here, or resumed from.
  const std::optional<fs::path>& newest() const { return newest_; }

 private:
  checkpoint::SaveOptions options() const;
  void write_ledger();  ///< ledger.jsonl beside the checkpoints: what the run has taken out of its data

  const config::RunConfig& config_;
  const Hooks& hooks_;
  FileOps& ops_;
  Setup& setup_;
  int64_t saved_iteration_ = -1;
  std::optional<fs::path> newest_;
  std::optional<RecordFile> ledger_;
};

/// True when every weight and main parameter is finite.
bool weights_finite(const Setup& setup);

}  // namespace rialto::train
