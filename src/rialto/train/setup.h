// Everything a run needs before its first iteration: model, weights, optimizer, data, counters; nothing is written
// here.
#pragma once

#include <memory>
#include <optional>

#include "rialto/checkpoint/checkpoint.h"
#include "rialto/data/dataset.h"
#include "rialto/model/model.h"
#include "rialto/optim/schedule.h"
#include "rialto/parallel/data_parallel.h"
#include "rialto/spec/flops.h"
#include "rialto/train/batches.h"
#include "rialto/train/phases.h"
#include "rialto/train/stages.h"
#include "rialto/train/train.h"

namespace rialto::train {

struct Setup {
  config::RunConfig config;  ///< as given, with train.train_iters worked out
  spec::ModelSpec model_spec;
  comm::Mesh mesh;
  std::optional<spec::FlopCounter> flops;
  std::unique_ptr<model::Weights> weights;
  std::unique_ptr<model::BlockRecipes> recipes;       ///< of the model
  std::vector<std::unique_ptr<model::Model>> models;  ///< of this rank's pipeline stages
  std::vector<std::unique_ptr<SplitSink>> sinks;      ///< of each, where weight gradients are split off
  std::unique_ptr<parallel::DataParallel> parallel;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::optional<optim::LossScaler> loss_scaler;                      ///< none: gradients are those of the loss
  std::unique_ptr<data::Dataset> train_data, valid_data, test_data;  ///< null where nothing is asked of them
  optim::Schedule schedule;
  checkpoint::TrainingState state;
  std::optional<fs::path> resumed_from;              ///< iter folder
  std::optional<fs::path> hf_source, native_source;  ///< what rialto_source/ is taken from
  at::Device device = at::kCPU;
  Phases phases;
  int64_t seq_length = 0;

  BatchForm batch_form() const;
  Stages stages() const;
  /// This rank's share of every global batch.
  Share share() const { return {mesh.index(comm::Axis::kDp), mesh.size(comm::Axis::kDp)}; }
};

/// Follows the configuration: resume from checkpoint.load, else weights from checkpoint.pretrained_checkpoint, else
/// random. Throws kConfig, kInput.
Setup set_up(const config::RunConfig& config, const Hooks& hooks);

/// All that an iteration changes, from a checkpoint with optimizer state: weights, optimizer, counters, scales.
void load_run_state(const fs::path& iter_dir, Setup& setup, Progress* progress);

/// "auto", "cpu", "cuda" or "cuda:1". Throws kUsage.
at::Device parse_device(const std::string& name);

}  // namespace rialto::train
