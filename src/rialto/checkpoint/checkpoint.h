// Binds training state to the store: loads a rank's boxes from a native checkpoint or a HF folder, saves everything.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"
#include "rialto/comm/mesh.h"
#include "rialto/model/block_recipes.h"
#include "rialto/model/weights.h"
#include "rialto/optim/loss_scaler.h"
#include "rialto/optim/optimizer.h"
#include "rialto/spec/model_spec.h"
#include "rialto/store/checkpoint.h"

namespace rialto::checkpoint {

/// Where weights come from: a HF folder, a native root, or an iter folder.
struct Source {
  spec::ModelSpec model;
  fs::path path;  ///< the HF folder or the iter folder
  bool native = false;
  int64_t iteration = 0;
  std::vector<std::string> notices;
};
/// Resolves a path to a model. Throws kInput.
Source open_source(const fs::path& path, std::optional<int64_t> iteration = {});

/// Fills `weights` (cast to their dtype) box by box; every weight is filled or it throws. Returns rounded values.
uint64_t load_weights(const Source& source, model::Weights& weights, Progress* progress);

/// Training state as saved beside the weights.
struct TrainingState {
  int64_t iteration = 0, consumed_train_samples = 0, skipped_train_samples = 0, consumed_valid_samples = 0;
  double floating_point_operations_so_far = 0;
  int64_t scheduled_samples = 0;             ///< of the iterations that moved the weights: what the schedules count
  int64_t skipped_iterations = 0;            ///< that the run's watch over losses skipped or went back from
  std::vector<double> recent_losses;         ///< what a spike is measured against, oldest first
  std::vector<int64_t> iterations_left_out;  ///< gone back from: their data is passed over; counted from 0
  std::optional<optim::LossScalerState> loss_scaler = {};  ///< of a dynamic loss scale
};

struct SaveOptions {
  fs::path root;
  std::string run_config_yaml;  ///< sections besides model:
  std::string run_keys_yaml;    ///< lines of model: that are the run's, not the model's
  Json args = Json::object();   ///< Megatron-LM's `args` beyond what the model says: batch sizes, train_iters...
  optim::Options optimizer;     ///< of the parameter groups
  optim::Rates rates;           ///< of the next step, recorded in the parameter groups
  std::optional<optim::Bounds> decoupled_lr;  ///< of the group of embedding and output layer; unset: no such group
  // What rialto_source/ is taken from, the first of these that is given (and, for an iteration, that has it):
  std::optional<fs::path> previous_iter;  ///< carried over
  std::optional<fs::path> hf_source;      ///< the model came from there: its config, tokenizer, layout...
  std::optional<fs::path> tokenizer;      ///< the model came from nowhere: with a derived config
  bool replace = false;
  model::BlockRecipes* recipes = nullptr;  ///< with the state of delayed FP8 scaling; null or without state: none
  comm::Mesh mesh = {};  ///< the ranks that call save() together: weights may be split over tp, the optimizer over dp
  bool separate_expert_optimizer = false;  ///< for a Megatron run with expert parallelism; the model has experts
};
/// Weights, main parameters, moments, scheduler and train state; see docs/checkpoint.md.
/// Collective over options.mesh: the first rank writes.
fs::path save(FileOps& ops, const SaveOptions& options, const spec::ModelSpec& model, model::Weights& weights,
              const optim::Optimizer* optimizer, const TrainingState& state, const Json& scheduler, Progress* progress);

/// Fills the state of delayed FP8 scaling. False: the iteration has none, and nothing changed. Throws kInput when it is
/// another model's.
bool load_fp8_state(const fs::path& iter_dir, model::BlockRecipes& recipes);

/// Only the counters of an iter folder, ours or Megatron's.
TrainingState load_state(const fs::path& iter_dir);

/// Weights, optimizer and training state from an iter folder, ours or Megatron's (distributed or plain bf16 optimizer).
/// Throws kInput when a piece of optimizer state is missing.
TrainingState load_training(const fs::path& iter_dir, const spec::ModelSpec& model, model::Weights& weights,
                            optim::Optimizer& optimizer, Progress* progress);

}  // namespace rialto::checkpoint
