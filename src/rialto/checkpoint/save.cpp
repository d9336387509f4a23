// Saving a training state: weights, main parameters, moments and what stands beside them, streamed parameter by
// parameter.
#include <ATen/Functions.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/checkpoint/checkpoint.h"
#include "rialto/checkpoint/common_state.h"
#include "rialto/checkpoint/fp8_state.h"
#include "rialto/checkpoint/source_files.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/resolve/resolve.h"
#include "rialto/store/names.h"

namespace rialto::checkpoint {
namespace {

void add_tensor(store::CheckpointWriter& writer, const store::ChunkSpec& chunk, const at::Tensor& tensor) {
  writer.add_chunk(chunk, [&](const store::ByteSink& sink) { push_bytes(tensor, sink); });
}

void alias_all(store::CheckpointWriter& writer, const store::ChunkSpec& chunk, const store::ChunkSpec& names) {
  writer.add_alias(chunk, names.key);
  for (const std::string& alias : names.aliases) writer.add_alias(chunk, alias);
}

constexpr auto kDpCp = comm::Axis::kDpCp, kTp = comm::Axis::kTp, kPp = comm::Axis::kPp;

/// Summed as integers: one rank alone is not 0 at each element, and its bits stay what they are, -0 too.
void join_bits(const at::Tensor& fp32, const comm::Mesh& mesh, comm::Axis axis) {
  at::Tensor bits = fp32.view(at::kInt);
  comm::all_reduce_sum(bits, mesh, axis);
}

/// What this rank holds of a parameter, as it does: the weight itself, or a state of it. An optimizer may be sharded.
at::Tensor held_state(const optim::Optimizer& optimizer, const char* name, const model::Weight& weight,
                      const comm::Mesh& mesh) {
  const optim::Range all{weight.offset, weight.offset + weight.size};
  if (!optimizer.is_sharded()) return optimizer.read(name, all);
  const at::Tensor values =
      at::zeros({weight.size}, at::TensorOptions().dtype(at::kFloat).device(weight.data.device()));
  for (const optim::Range& range : optimizer.owned()) {
    const optim::Range part = range.shared_with(all);
    if (part.size() > 0) values.narrow(0, part.begin - all.begin, part.size()).copy_(optimizer.read(name, part));
  }
  join_bits(values, mesh, comm::same_weights(weight.param.expert_sharded));
  return values;
}

/// Hands whole tensors to the rank that writes, parameter by parameter in the order of the table. Every rank calls the
/// same functions in the same order; where there is nothing for it to do they return an undefined tensor.
class Gatherer {
 public:
  Gatherer(const model::Weights& weights, const optim::Optimizer* optimizer, const comm::Mesh& mesh)
      : weights_(weights), optimizer_(optimizer), mesh_(mesh) {}

  at::Tensor weight(const spec::Param& param, int stage) {
    const model::Weight* own = own_of(param, stage);
    return whole_of(own, own ? own->data : at::Tensor(), param, stage, weights_.dtype_of(param));
  }
  at::Tensor state(const char* name, const spec::Param& param, int stage) {
    const model::Weight* own = own_of(param, stage);
    return whole_of(own, own ? held_state(*optimizer_, name, *own, mesh_) : at::Tensor(), param, stage, at::kFloat);
  }

 private:
  /// Of an embedding that both ends of a pipeline hold, the first one's. Null also for an expert of other ranks.
  const model::Weight* own_of(const spec::Param& param, int stage) const {
    return stage == mesh_.index(kPp) && weights_.has(param.name) ? &weights_.at(param.name) : nullptr;
  }
  /// `held`: what `own` holds, null where others do.
  at::Tensor whole_of(const model::Weight* own, const at::Tensor& held, const spec::Param& param, int stage,
                      at::ScalarType type) const {
    at::Tensor whole = held;
    if (stage == mesh_.index(kPp) && has_parts(own, param)) whole = joined(own, held, param).to(type);
    return to_writer(whole, param, stage, type);
  }
  bool has_parts(const model::Weight* own, const spec::Param& param) const {
    return (own && own->tp_split) || (param.expert_sharded && mesh_.layout().ep > 1);
  }
  /// In the parameter's shape, fp32; on every rank, in memory for one.
  at::Tensor joined(const model::Weight* own, const at::Tensor& held, const spec::Param& param) const {
    const at::Tensor whole =
        at::zeros(param.view, at::TensorOptions().dtype(at::kFloat).device(weights_.context().device));
    if (own && own->is_first) {
      at::Tensor box = whole;
      for (size_t axis = 0; axis < own->box.lo.size(); ++axis)
        box = box.narrow(static_cast<int64_t>(axis), own->box.lo[axis], own->box.hi[axis] - own->box.lo[axis]);
      box.copy_(held.view(box.sizes()));
    }
    join_bits(whole, mesh_, comm::parts_of_layer(param.expert_sharded));
    return whole.view(param.shape);
  }
  at::Tensor to_writer(const at::Tensor& whole, const spec::Param& param, int stage, at::ScalarType type) const {
    if (stage == 0 || mesh_.index(kDpCp) != 0 || mesh_.index(kTp) != 0) return whole;
    const std::string what = "the whole of " + param.name;
    if (mesh_.index(kPp) == stage) mesh_.group(kPp).send(whole.contiguous(), 0, 0, what)->wait();
    if (mesh_.index(kPp) != 0) return {};
    at::Tensor received = at::empty(param.shape, at::TensorOptions().dtype(type).device(weights_.context().device));
    mesh_.group(kPp).receive(received, stage, 0, what)->wait();
    return received;
  }

  const model::Weights& weights_;
  const optim::Optimizer* optimizer_;
  const comm::Mesh& mesh_;
};

/// `param` is what Megatron's distributed optimizer asks for, `fp32_param` what its plain bf16 optimizer does.
/// `writer` null: this rank only helps.
void add_optimizer_state(store::CheckpointWriter* writer, const spec::Param& param, int stage,
                         const optim::Optimizer& optimizer, Gatherer& gatherer) {
  const auto named = [&](const char* name) {
    return store::chunk_of(param, DType::kF32, fmt::format("optimizer.state.{}.", name));
  };
  const auto add = [&](const char* name) {
    const at::Tensor whole = gatherer.state(name, param, stage);
    if (writer) add_tensor(*writer, named(name), whole);
  };
  if (!optimizer.main_is_weights()) add("param");
  if (writer) {
    const store::ChunkSpec stored = optimizer.main_is_weights() ? store::chunk_of(param, DType::kF32) : named("param");
    if (optimizer.main_is_weights()) alias_all(*writer, stored, named("param"));
    alias_all(*writer, stored, named("fp32_param"));
  }
  for (const char* name : optimizer.state_names(param)) add(name);
}

/// Everything that has a chunk of its own. `writer` null: gives the writing rank what this one holds.
void add_tensors(store::CheckpointWriter* writer, const spec::ModelSpec& model, const model::Weights& weights,
                 const optim::Optimizer* optimizer, const comm::Mesh& mesh, int64_t iteration, Progress& shown) {
  const std::vector<spec::Param> params = spec::param_table(model, mesh.layout());
  const auto stage_of = [&](const spec::Param& param) {
    return spec::stages_of(param, model, mesh.layout()).front() % mesh.size(kPp);
  };
  Gatherer gatherer(weights, optimizer, mesh);
  shown.begin(fmt::format("save iteration {}", iteration), params.size(), "tensors");
  uint64_t done = 0;
  for (const spec::Param& param : params) {
    const at::Tensor whole = gatherer.weight(param, stage_of(param));
    if (writer) add_tensor(*writer, store::chunk_of(param, dtype_of(whole.scalar_type())), whole);
    shown.update(++done);
  }
  if (optimizer == nullptr) return;
  for (const spec::Param& param : params) {
    const bool frozen = weights.has(param.name) && weights.at(param.name).frozen;
    if (!param.buffer && !frozen) add_optimizer_state(writer, param, stage_of(param), *optimizer, gatherer);
  }
}

}  // namespace

fs::path save(FileOps& ops, const SaveOptions& options, const spec::ModelSpec& model, model::Weights& weights,
              const optim::Optimizer* optimizer, const TrainingState& state, const Json& scheduler,
              Progress* progress) {
  const fs::path folder = options.root / store::iter_name(state.iteration);
  if (options.mesh.index(kDpCp) != 0 || options.mesh.index(kTp) != 0 || options.mesh.index(kPp) != 0) {
    add_tensors(nullptr, model, weights, optimizer, options.mesh, state.iteration, silent());
    return folder;
  }
  Progress& shown = progress ? *progress : silent();
  store::CheckpointWriter writer(ops, options.root, state.iteration, options.replace);
  add_tensors(&writer, model, weights, optimizer, options.mesh, state.iteration, shown);
  if (options.recipes) add_fp8_state(writer, *options.recipes);
  writer.add_extra_states(model);
  writer.add_file("run_config.yaml",
                  resolve::run_config_from_model(model, options.run_config_yaml, options.run_keys_yaml));
  if (!options.previous_iter || !carry_source_files(writer, *options.previous_iter)) {
    if (options.hf_source)
      add_source_files(writer, *options.hf_source);
    else if (options.tokenizer)
      add_tokenizer_files(writer, model, *options.tokenizer);
  }
  writer.set_fact("layout", Json{{"tp", 1}, {"pp", 1}, {"cp", 1}, {"dp", 1}});
  writer.set_fact("true_vocab", model.vocab);

  const CommonState common = make_training_common(options, model, state, scheduler,
                                                  optimizer ? std::optional(optimizer->num_steps()) : std::nullopt);
  store::CheckpointWriter::TrainState train_state;
  train_state.step = state.iteration;
  train_state.consumed_train_samples = state.consumed_train_samples;
  train_state.skipped_train_samples = state.skipped_train_samples;
  train_state.consumed_valid_samples = state.consumed_valid_samples;
  train_state.floating_point_operations_so_far = state.floating_point_operations_so_far;
  train_state.do_train = true;
  writer.commit(*common.tree, train_state, common.storages);
  shown.end();
  return folder;
}

}  // namespace rialto::checkpoint
