// Everything a run needs before its first iteration: model, weights, optimizer, data, counters; nothing is written
// here.
#pragma once

#include <memory>
#include <optional>

#include "rialto/checkpoint/checkpoint.h"
#include "rialto/data/dataset.h"
#include "rialto/model/model.h"
#include "rialto/optim/schedule.h"
#include "rialto/train/train.h"

namespace rialto::train {

struct Setup {
  spec::ModelSpec model_spec;
  std::unique_ptr<model::Weights> weights;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<data::Dataset> train_data, valid_data;  ///< valid_data: null without evaluation
  optim::LrSchedule schedule;
  checkpoint::TrainingState state;
  std::optional<fs::path> resumed_from;              ///< iter folder
  std::optional<fs::path> hf_source, native_source;  ///< what rialto_source/ is taken from
  at::Device device = at::kCPU;
  int64_t seq_length = 0;
};

/// Follows the configuration: resume from checkpoint.load, else weights from checkpoint.pretrained_checkpoint, else
/// random. Throws kConfig, kInput.
Setup set_up(const config::RunConfig& config, const Hooks& hooks);

/// "auto", "cpu", "cuda" or "cuda:1". Throws kUsage.
at::Device parse_device(const std::string& name);

}  // namespace rialto::train
