// Training as one function: a configuration in, checkpoints, metrics and a result out. `rialto train` is this and
// nothing more.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"
#include "rialto/comm/world.h"
#include "rialto/config/run_config.h"
#include "rialto/model/model.h"
#include "rialto/train/records.h"

namespace rialto::train {

/// Sums the loss of a micro-batch, in training with a gradient.
using ForwardStep = std::function<model::LossSum(const model::Model& model, const model::Batch& batch)>;

/// What a caller may watch, decide and put in the place of the library's own. Every member may be left out; what a
/// function throws ends the run.
struct Hooks {
  std::function<void(std::string_view line)> print;  ///< Megatron's step and validation lines, without newline
  std::function<bool()> stop_requested;              ///< asked after every iteration; true: save and stop
  Progress* progress = nullptr;                      ///< loading and saving
  FileOps* file_ops = nullptr;                       ///< default: the operating system's
  std::string device = "auto";                       ///< "auto" (a GPU when there is one), "cpu", "cuda"

  /// Default: model.forward_loss(batch). What it returns in `sum` and `weight` is the loss that is printed, recorded
  /// and trained on.
  ForwardStep forward_step;

  // Events under Megatron Bridge's names. `iteration`: of a step the one that begins, counted from 1; else the last
  // finished one. An evaluation step is a global batch, counted from 0.
  std::function<void()> on_data_init_start;
  std::function<void(int64_t iteration)> on_train_start;
  std::function<void(int64_t iteration)> on_train_step_start;
  std::function<void(const StepRecord&)> on_train_step_end;
  std::function<void(int64_t iteration)> on_train_end;
  std::function<void(int64_t iteration)> on_eval_start;
  std::function<void(int64_t step)> on_eval_step_start;
  std::function<void(int64_t step)> on_eval_step_end;
  std::function<void(const EvalRecord&)> on_eval_end;
  std::function<void(int64_t iteration)> on_test_start;
  std::function<void(int64_t step)> on_test_step_start;
  std::function<void(int64_t step)> on_test_step_end;
  std::function<void(const EvalRecord&)> on_test_end;
  std::function<void(int64_t iteration, const fs::path& iter_dir)> on_checkpoint_save;

  /// The processes of the run, data parallel; null: this one alone. Every one of them calls train(); the first writes.
  std::shared_ptr<comm::World> world;
  bool writes() const { return !world || world->rank() == 0; }
};

enum class End { kFinished, kExitInterval, kExitDuration, kStopped };

struct Result {
  End end = End::kFinished;
  int64_t first_iteration = 0;  ///< 0, or the iteration resumed from
  int64_t iteration = 0;        ///< last finished
  double last_loss = 0;
  std::optional<double> last_eval_loss, test_loss;
  std::optional<fs::path> checkpoint;  ///< newest saved by this call, or resumed from
  fs::path metrics;                    ///< empty when none was written
  int64_t num_parameters = 0;
  double seconds = 0;
  std::map<std::string, comm::Volume> communication;  ///< of this process (comm::World::volumes)
};
Json to_json(const Result& result);

/// Runs `config` to its end, or until a hook stops it (in several processes: until any process's hook does). Checks the
/// rules first; nothing is written before everything is loaded. Throws kConfig, kInput, kIo; kInternal naming the
/// iteration when a loss or a gradient norm is not finite, after saving the state before that iteration. In several
/// processes also kComm when one is lost, and kConfig when their programs, configurations or starting points differ.
Result train(const config::RunConfig& config, const Hooks& hooks);

}  // namespace rialto::train
