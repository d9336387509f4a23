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

constexpr auto kDp = comm::Axis::kDp, kTp = comm::Axis::kTp;

/// Summed as integers: one rank alone is not 0 at each element, and its bits stay what they are, -0 too.
void join_bits(const at::Tensor& fp32, const comm::Mesh& mesh, comm::Axis axis) {
  at::Tensor bits = fp32.view(at::kInt);
  comm::all_reduce_sum(bits, mesh, axis);
}

/// The whole parameter of which this rank holds `part`, in the parameter's shape; on every rank, in memory for one.
at::Tensor whole_of(const model::Weight& weight, const at::Tensor& part, const comm::Mesh& mesh) {
  if (!weight.param.tp_axis || mesh.size(kTp) == 1) return part;
  const at::Tensor whole = at::zeros(weight.param.view, part.options().dtype(at::kFloat));
  at::Tensor box = whole;
  for (size_t axis = 0; axis < weight.box.lo.size(); ++axis)
    box = box.narrow(static_cast<int64_t>(axis), weight.box.lo[axis], weight.box.hi[axis] - weight.box.lo[axis]);
  box.copy_(part.view(box.sizes()));
  join_bits(whole, mesh, kTp);
  return whole.view(weight.param.shape).to(part.scalar_type());
}

/// The state `name` of a whole weight, likewise: an optimizer may be sharded, and the weight split.
at::Tensor whole_state(const optim::Optimizer& optimizer, const char* name, const model::Weight& weight,
                       const comm::Mesh& mesh) {
  const optim::Range all{weight.offset, weight.offset + weight.size};
  if (!optimizer.is_sharded()) return whole_of(weight, optimizer.read(name, all), mesh);
  const at::Tensor values =
      at::zeros({weight.size}, at::TensorOptions().dtype(at::kFloat).device(weight.data.device()));
  for (const optim::Range& range : optimizer.owned()) {
    const optim::Range part = range.shared_with(all);
    if (part.size() > 0) values.narrow(0, part.begin - all.begin, part.size()).copy_(optimizer.read(name, part));
  }
  join_bits(values, mesh, kDp);
  return whole_of(weight, values, mesh);
}

/// `param` is what Megatron's distributed optimizer asks for, `fp32_param` what its plain bf16 optimizer does.
void add_optimizer_state(store::CheckpointWriter& writer, const model::Weight& weight,
                         const optim::Optimizer& optimizer, const comm::Mesh& mesh) {
  const auto named = [&](const char* name) {
    return store::chunk_of(weight.param, DType::kF32, fmt::format("optimizer.state.{}.", name));
  };
  store::ChunkSpec stored;
  if (optimizer.main_is_weights()) {
    stored = store::chunk_of(weight.param, DType::kF32);
    alias_all(writer, stored, named("param"));
  } else {
    stored = named("param");
    add_tensor(writer, stored, whole_state(optimizer, "param", weight, mesh));
  }
  alias_all(writer, stored, named("fp32_param"));
  for (const char* name : optimizer.state_names(weight))
    add_tensor(writer, named(name), whole_state(optimizer, name, weight, mesh));
}

/// Gives the writing rank what this one holds, in the order of save().
void help_save(const model::Weights& weights, const optim::Optimizer* optimizer, const comm::Mesh& mesh) {
  for (const model::Weight& weight : weights.all()) whole_of(weight, weight.data, mesh);
  if (optimizer == nullptr) return;
  for (const model::Weight& weight : weights.all()) {
    if (weight.param.buffer || weight.frozen) continue;
    if (!optimizer->main_is_weights()) whole_state(*optimizer, "param", weight, mesh);
    for (const char* name : optimizer->state_names(weight)) whole_state(*optimizer, name, weight, mesh);
  }
}

}  // namespace

fs::path save(FileOps& ops, const SaveOptions& options, const spec::ModelSpec& model, model::Weights& weights,
              const optim::Optimizer* optimizer, const TrainingState& state, const Json& scheduler,
              Progress* progress) {
  const fs::path folder = options.root / store::iter_name(state.iteration);
  if (options.mesh.index(kDp) != 0 || options.mesh.index(kTp) != 0) {
    help_save(weights, optimizer, options.mesh);
    return folder;
  }
  Progress& shown = progress ? *progress : silent();
  store::CheckpointWriter writer(ops, options.root, state.iteration, options.replace);
  shown.begin(fmt::format("save iteration {}", state.iteration), weights.all().size(), "tensors");
  uint64_t done = 0;
  for (const model::Weight& weight : weights.all()) {
    add_tensor(writer, store::chunk_of(weight.param, dtype_of(weight.data.scalar_type())),
               whole_of(weight, weight.data, options.mesh));
    shown.update(++done);
  }
  if (optimizer != nullptr) {
    for (const model::Weight& weight : weights.all()) {
      if (!weight.param.buffer && !weight.frozen) add_optimizer_state(writer, weight, *optimizer, options.mesh);
    }
  }
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
