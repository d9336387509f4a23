// Resuming: weights, main parameters, moments and counters from one iteration, ours or Megatron's.
#include <ATen/Functions.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/checkpoint/checkpoint.h"
#include "rialto/checkpoint/common_state.h"
#include "rialto/checkpoint/stored_param.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/store/param_keys.h"

namespace rialto::checkpoint {
namespace {

/// The optimizer's state `name` of one weight, from the tensor under `prefix`.
void fill_state(const store::CheckpointReader& reader, const model::Weight& weight, const std::string& prefix,
                optim::Optimizer& optimizer, std::string_view name) {
  const ElementSource elements = stored_param(reader, weight.param, prefix);
  if (elements.dtype != DType::kF32) {
    throw Error(ErrorKind::kInput, reader.path().string(),
                fmt::format("'{}' is not stored as it was computed", reader.find_key(weight.param, prefix)),
                {.got = std::string(torch_name(elements.dtype)), .want = "float32", .hint = {}});
  }
  const at::Tensor values = at::empty({weight.size}, at::kFloat);
  fill_bytes(values,
             [&](std::span<std::byte> out) { read_box(elements, weight.param.view, weight.box, DType::kF32, out); });
  for (const optim::Range& owned : optimizer.owned()) {
    const optim::Range part = owned.shared_with({weight.offset, weight.offset + weight.size});
    if (part.size() > 0) optimizer.write(name, part, values.narrow(0, part.begin - weight.offset, part.size()));
  }
}

/// Main parameters stand under either of Megatron's names (distributed, plain bf16); an fp32 model's are its weights.
std::optional<std::string> main_prefix(const store::CheckpointReader& reader, const spec::Param& param) {
  for (const char* prefix : {"optimizer.state.param.", "optimizer.state.fp32_param."}) {
    for (const store::KeyCandidate& candidate : store::key_candidates(param, prefix)) {
      if (reader.has_tensor(candidate.key)) return prefix;
    }
  }
  return std::nullopt;
}

/// Megatron-LM and we record the name in `args`; a checkpoint without it is read by the state that it has.
void check_same_optimizer(const formats::TorchFile& common, const std::string& where, optim::Kind kind) {
  const formats::PickleValue* args = common.value->get("args");
  const formats::PickleValue* name = args != nullptr && args->state ? args->state->get("optimizer") : nullptr;
  if (name == nullptr || name->kind != formats::PickleValue::Kind::kString || name->text == optim::name_of(kind))
    return;
  throw Error(ErrorKind::kConfig, "optimizer.optimizer", fmt::format("{} was saved by another optimizer", where),
              {.got = optim::name_of(kind),
               .want = name->text,
               .hint = "checkpoint.load_optim=false starts with a fresh optimizer"});
}

void load_optimizer(const store::CheckpointReader& reader, const formats::TorchFile& common, model::Weights& weights,
                    optim::Optimizer& optimizer, Progress& shown) {
  const std::string where = reader.path().string(), common_path = (reader.path() / "common.pt").string();
  check_same_optimizer(common, where, optimizer.options().kind);
  shown.begin("load optimizer", weights.all().size(), "tensors");
  uint64_t done = 0;
  for (const model::Weight& weight : weights.all()) {
    check_cancelled(shown, "load optimizer");
    if (weight.param.buffer || weight.frozen) continue;
    if (const auto prefix = main_prefix(reader, weight.param)) {
      // An fp32 model's main parameters are its weights; both were stored, so this only repeats them.
      fill_state(reader, weight, *prefix, optimizer, "param");
    } else if (!optimizer.main_is_weights() || reader.dtype(reader.find_key(weight.param)) != DType::kF32) {
      throw Error(ErrorKind::kInput, where, fmt::format("no main parameter of '{}'", weight.param.disk.key),
                  {.got = {},
                   .want = "optimizer.state.param or optimizer.state.fp32_param",
                   .hint = "checkpoint.load_optim=false starts with a fresh optimizer"});
    }
    for (const char* name : optimizer.state_names(weight.param))
      fill_state(reader, weight, fmt::format("optimizer.state.{}.", name), optimizer, name);
    shown.update(++done);
  }
  shown.end();
  optimizer.set_num_steps(read_optimizer_steps(common, common_path));
}

}  // namespace

namespace {

/// The counters in train_state.pt; Megatron-LM keeps its own in the `args` of common.pt.
TrainingState load_counters(const store::CheckpointReader& reader, const formats::PickleValue& common) {
  TrainingState state;
  state.iteration = reader.iteration();
  if (const auto saved = reader.train_state()) {
    state.iteration = saved->step;
    state.consumed_train_samples = saved->consumed_train_samples;
    state.skipped_train_samples = saved->skipped_train_samples;
    state.consumed_valid_samples = saved->consumed_valid_samples;
    state.floating_point_operations_so_far = saved->floating_point_operations_so_far;
    return state;
  }
  const formats::PickleValue* args = common.get("args");
  const formats::PickleValue* values = args != nullptr && args->state ? args->state.get() : nullptr;
  const auto counter = [&](const char* name) -> int64_t {
    const formats::PickleValue* value = values ? values->get(name) : nullptr;
    return value != nullptr && value->kind == formats::PickleValue::Kind::kInt ? value->integer : 0;
  };
  state.consumed_train_samples = counter("consumed_train_samples");
  state.skipped_train_samples = counter("skipped_train_samples");
  state.consumed_valid_samples = counter("consumed_valid_samples");
  if (const auto* flops = common.get("num_floating_point_operations_so_far")) {
    state.floating_point_operations_so_far =
        flops->kind == formats::PickleValue::Kind::kInt ? static_cast<double>(flops->integer) : flops->number;
  }
  return state;
}

}  // namespace

TrainingState load_state(const fs::path& iter_dir) {
  const store::CheckpointReader reader(iter_dir);
  const auto common = reader.common();
  TrainingState state = load_counters(reader, *common);
  const formats::PickleValue* scheduler = common->get("opt_param_scheduler");
  const formats::PickleValue* steps = scheduler != nullptr ? scheduler->get("num_steps") : nullptr;
  const bool counted = steps != nullptr && steps->kind == formats::PickleValue::Kind::kInt;
  read_watch(*common, state);
  state.scheduled_samples = counted ? steps->integer : state.consumed_train_samples;
  return state;
}

TrainingState load_training(const fs::path& iter_dir, const spec::ModelSpec& model, model::Weights& weights,
                            optim::Optimizer& optimizer, Progress* progress) {
  Source source;
  source.model = model;
  source.path = iter_dir;
  source.native = true;
  load_weights(source, weights, progress);
  const store::CheckpointReader reader(iter_dir);
  const formats::TorchFile common = read_common(iter_dir);
  load_optimizer(reader, common, weights, optimizer, progress ? *progress : silent());
  TrainingState state = load_state(iter_dir);
  state.loss_scaler = read_loss_scaler(common);
  return state;
}

}  // namespace rialto::checkpoint
