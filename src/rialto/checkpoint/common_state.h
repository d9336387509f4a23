// The training part of common.pt: what Megatron keeps beside the tensors. Which reader asks for what:
// docs/checkpoint.md.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rialto/checkpoint/checkpoint.h"
#include "rialto/formats/pickle.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::checkpoint {

struct CommonState {
  formats::PicklePtr tree;
  std::vector<std::pair<std::string, std::string>> storages;  ///< of the tensors in it: common step, loss scale
};

/// store::make_common plus the run's `args`, opt_param_scheduler, and (with `optimizer_steps`) an `optimizer` tree that
/// serves Megatron-Core's plain bf16, plain fp32 and distributed optimizers alike; with separate_expert_optimizer two
/// of them, as a run with expert parallelism wants.
CommonState make_training_common(const SaveOptions& options, const spec::ModelSpec& model, const TrainingState& state,
                                 const Json& scheduler, std::optional<int64_t> optimizer_steps);

/// A JSON value as a pickle tree: objects become dicts, numbers keep being integers or floats.
formats::PicklePtr to_pickle(const Json& value);

/// What the run's watch over losses had seen and done, from a common.pt of ours; nothing in others.
void read_watch(const formats::PickleValue& common, TrainingState& state);

/// common.pt with the elements of its small tensors.
formats::TorchFile read_common(const fs::path& iter_dir);

/// Optimizer steps recorded in a common.pt, wherever Megatron's optimizers put them: the groups' `step` or the state's
/// `common_step`. Throws kInput when neither is there, or groups disagree.
int64_t read_optimizer_steps(const formats::TorchFile& common, const std::string& where);

/// The dynamic loss scale's state, `grad_scaler` of the optimizer's tree (the first, of several); nullopt: none.
std::optional<optim::LossScalerState> read_loss_scaler(const formats::TorchFile& common);

}  // namespace rialto::checkpoint
