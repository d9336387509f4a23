// Building and reading the training part of common.pt. Found by running Megatron-Core 0.16.1: tests/oracle.
#include "rialto/checkpoint/common_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"
#include "rialto/spec/param.h"
#include "rialto/store/common_state.h"

namespace rialto::checkpoint {

using formats::PicklePtr;
using formats::PickleValue;

namespace {

using Entries = std::vector<std::pair<PicklePtr, PicklePtr>>;
using Storages = std::vector<std::pair<std::string, std::string>>;
constexpr const char *kStepStorage = "0", *kScaleStorage = "1";
constexpr const char* kWatchKey = "rialto_watch";  ///< ours; Megatron looks up the keys that it knows

void put(Entries& entries, const std::string& key, PicklePtr value) {
  entries.emplace_back(formats::p_str(key), std::move(value));
}

/// What torch's optimizer (and FusedAdam) keeps in a group of this kind.
void put_options(Entries& group, const optim::Options& options) {
  const auto betas = [&](double first, double second) {
    put(group, "betas", formats::p_tuple({formats::p_float(first), formats::p_float(second)}));
  };
  switch (options.kind) {
    case optim::Kind::kSgd:
      put(group, "momentum", formats::p_float(options.sgd_momentum));
      put(group, "dampening", formats::p_float(0));
      put(group, "nesterov", formats::p_bool(false));
      break;
    case optim::Kind::kLion:
      betas(options.lion_beta1, options.lion_beta2);
      break;
    case optim::Kind::kAdam:
    case optim::Kind::kMuon:  // the groups of both its rules
      betas(options.adam_beta1, options.adam_beta2);
      put(group, "eps", formats::p_float(options.adam_eps));
      put(group, "bias_correction", formats::p_bool(true));
      break;
  }
}

/// Groups are matched on wd_mult, lr_mult, is_expert_parallel and is_decoupled_lr (Core 0.16.1), max_lr and min_lr too
/// (main; start_wd or end_wd here would make it miss). No `params`: the reader brings its own. `step` is what the
/// distributed optimizer counts from; the rest is torch's and FusedAdam's.
PicklePtr param_group(const SaveOptions& options, const Json& scheduler, int64_t steps, bool experts,
                      const optim::Group& of) {
  const bool own_lr = of.decoupled_lr && options.decoupled_lr;
  Entries group;
  put(group, "wd_mult", formats::p_float(of.decay ? 1.0 : 0.0));
  put(group, "lr_mult", formats::p_float(1.0));
  put(group, "is_expert_parallel", formats::p_bool(experts));
  put(group, "is_decoupled_lr", formats::p_bool(false));
  put(group, "max_lr", formats::p_float(own_lr ? options.decoupled_lr->max : scheduler.at("max_lr").get<double>()));
  put(group, "min_lr", formats::p_float(own_lr ? options.decoupled_lr->min : scheduler.at("min_lr").get<double>()));
  put(group, "default_config", formats::p_bool(!own_lr));
  put(group, "lr", formats::p_float(own_lr ? options.rates.decoupled_lr : options.rates.lr));
  put(group, "weight_decay", formats::p_float(of.decay ? options.rates.weight_decay : 0.0));
  put_options(group, options.optimizer);
  put(group, "step", formats::p_int(steps));
  put(group, "amsgrad", formats::p_bool(false));
  put(group, "maximize", formats::p_bool(false));
  put(group, "foreach", formats::p_none());
  put(group, "capturable", formats::p_bool(false));
  put(group, "differentiable", formats::p_bool(false));
  put(group, "fused", formats::p_none());
  put(group, "decoupled_weight_decay", formats::p_bool(options.optimizer.decoupled_weight_decay));
  return formats::p_dict(std::move(group));
}

/// As DynamicGradScaler.state_dict() has it; null without a dynamic loss scale.
PicklePtr grad_scaler_of(const std::optional<optim::LossScalerState>& scaler) {
  if (!scaler) return nullptr;
  Entries entries;
  put(entries, "scale", formats::p_tensor(DType::kF32, {1}, kScaleStorage));
  put(entries, "growth_tracker", formats::p_int(scaler->growth_tracker));
  put(entries, "hysteresis_tracker", formats::p_int(scaler->hysteresis_tracker));
  return formats::p_dict(std::move(entries));
}

void add_storage(Storages& storages, const char* key, float value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  storages.emplace_back(key, bytes);
}

/// One optimizer's tree. Distributed reads optimizer.param_groups; plain bf16 its state.common_step as well; plain fp32
/// the same one level up.
PicklePtr optimizer_of(const PicklePtr& groups, const PicklePtr& grad_scaler) {
  Entries state;
  put(state, "common_step", formats::p_tensor(DType::kF32, {}, kStepStorage));
  const PicklePtr states = formats::p_dict(std::move(state));
  Entries inner;
  put(inner, "param_groups", groups);
  put(inner, "state", states);
  Entries optimizer;
  put(optimizer, "optimizer", formats::p_dict(std::move(inner)));
  put(optimizer, "param_state_sharding_type", formats::p_str("fully_reshardable"));
  put(optimizer, "param_groups", groups);
  put(optimizer, "state", states);
  if (grad_scaler) put(optimizer, "grad_scaler", grad_scaler);
  return formats::p_dict(std::move(optimizer));
}

/// Groups in Core's order: the default one, that with a learning rate of its own, those without decay.
std::vector<optim::Group> all_groups(const SaveOptions& options) {
  std::vector<optim::Group> groups = {{.decoupled_lr = false, .decay = true}};
  if (options.decoupled_lr) groups.push_back({.decoupled_lr = true, .decay = true});
  groups.push_back({.decoupled_lr = false, .decay = false});
  return groups;
}

/// The groups that some parameter of the links `experts` or others is in: plain bf16 counts them.
PicklePtr groups_of(const SaveOptions& options, const spec::ModelSpec& model, const Json& scheduler, int64_t steps,
                    bool experts) {
  std::vector<PicklePtr> groups;
  const std::vector<spec::Param> params = spec::param_table(model);
  for (const optim::Group& group : all_groups(options)) {
    if (std::ranges::any_of(params, [&](const spec::Param& param) {
          optim::Group of = optim::group_of(param, options.optimizer);
          of.decoupled_lr = of.decoupled_lr && options.decoupled_lr;
          return !param.buffer && (param.expert >= 0) == experts && of == group;
        }))
      groups.push_back(param_group(options, scheduler, steps, experts, group));
  }
  return formats::p_list(std::move(groups));
}

/// With expert parallelism Megatron chains two optimizers, the experts' the second: a tree each, under 0 and 1, and
/// nothing beside them (Core counts the entries). Without, there is one tree.
PicklePtr make_optimizer(const SaveOptions& options, const spec::ModelSpec& model, const Json& scheduler, int64_t steps,
                         const PicklePtr& grad_scaler) {
  if (!options.separate_expert_optimizer) {
    std::vector<PicklePtr> groups;
    for (const optim::Group& group : all_groups(options))
      groups.push_back(param_group(options, scheduler, steps, false, group));
    return optimizer_of(formats::p_list(std::move(groups)), grad_scaler);
  }
  Entries links;
  for (const int64_t link : {0, 1})
    links.emplace_back(formats::p_int(link),
                       optimizer_of(groups_of(options, model, scheduler, steps, link == 1), grad_scaler));
  return formats::p_dict(std::move(links));
}

/// Sets `key` in a dict, replacing what is there.
void set(PickleValue& dict, const std::string& key, PicklePtr value) {
  for (auto& [name, old] : dict.dict) {
    if (name->kind == PickleValue::Kind::kString && name->text == key) {
      old = std::move(value);
      return;
    }
  }
  put(dict.dict, key, std::move(value));
}

PickleValue& entry(PickleValue& dict, std::string_view key) {
  for (auto& [name, value] : dict.dict) {
    if (name->kind == PickleValue::Kind::kString && name->text == key) return *value;
  }
  throw Error(ErrorKind::kInternal, "common.pt", "an entry is missing",
              {.got = {}, .want = std::string(key), .hint = {}});
}

std::optional<int64_t> whole(double value) {
  if (!(value >= 0 && value < 9e15) || value != std::floor(value)) return std::nullopt;
  return static_cast<int64_t>(value);
}

/// An int, a float, or a one-element fp32, fp64 or int64 tensor that is a whole number.
std::optional<int64_t> count_of(const PickleValue& value, const Storages& storages) {
  if (value.kind == PickleValue::Kind::kInt) return value.integer >= 0 ? std::optional(value.integer) : std::nullopt;
  if (value.kind == PickleValue::Kind::kFloat) return whole(value.number);
  return formats::is_tensor(value) ? count_of(*formats::read_scalar({nullptr, storages}, value), storages)
                                   : std::nullopt;
}

std::optional<int64_t> steps_of(const PickleValue& tree, const Storages& storages) {
  if (const PickleValue* state = tree.get("state")) {
    if (const PickleValue* step = state->get("common_step")) {
      if (const auto count = count_of(*step, storages)) return count;
    }
  }
  if (const PickleValue* groups = tree.get("param_groups"); groups && groups->kind == PickleValue::Kind::kList) {
    std::optional<int64_t> found;
    for (const PicklePtr& group : groups->items) {
      const PickleValue* step = group->get("step");
      if (step == nullptr) continue;
      const auto count = count_of(*step, storages);
      if (!count || (found && *found != *count)) return std::nullopt;
      found = count;
    }
    if (found) return found;
  }
  if (const PickleValue* inner = tree.get("optimizer")) {
    if (const auto count = steps_of(*inner, storages)) return count;
  }
  // A chained optimizer's tree has one entry per link, under integer keys.
  for (const auto& [key, value] : tree.dict) {
    if (key->kind != PickleValue::Kind::kInt) continue;
    if (const auto count = steps_of(*value, storages)) return count;
  }
  return std::nullopt;
}

}  // namespace

PicklePtr to_pickle(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return formats::p_none();
    case Json::value_t::boolean:
      return formats::p_bool(value.get<bool>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return formats::p_int(value.get<int64_t>());
    case Json::value_t::number_float:
      return formats::p_float(value.get<double>());
    case Json::value_t::string:
      return formats::p_str(value.get<std::string>());
    case Json::value_t::array: {
      std::vector<PicklePtr> items;
      for (const Json& item : value) items.push_back(to_pickle(item));
      return formats::p_list(std::move(items));
    }
    case Json::value_t::object: {
      Entries entries;
      for (const auto& [key, item] : value.items()) put(entries, key, to_pickle(item));
      return formats::p_dict(std::move(entries));
    }
    default:
      throw Error(ErrorKind::kInternal, "common.pt", "no pickle for this JSON value");
  }
}

CommonState make_training_common(const SaveOptions& options, const spec::ModelSpec& model, const TrainingState& state,
                                 const Json& scheduler, std::optional<int64_t> optimizer_steps) {
  CommonState common{std::make_shared<PickleValue>(store::make_common(model, state.iteration)), {}};
  PickleValue& args = *entry(*common.tree, "args").state;
  set(args, "iteration", formats::p_int(state.iteration));
  set(args, "consumed_train_samples", formats::p_int(state.consumed_train_samples));
  set(args, "skipped_train_samples", formats::p_int(state.skipped_train_samples));
  set(args, "consumed_valid_samples", formats::p_int(state.consumed_valid_samples));
  for (const auto& [key, value] : options.args.items()) set(args, key, to_pickle(value));
  set(*common.tree, "num_floating_point_operations_so_far", formats::p_float(state.floating_point_operations_so_far));
  set(*common.tree, "opt_param_scheduler", to_pickle(scheduler));
  if (state.skipped_iterations > 0 || !state.recent_losses.empty()) {
    set(*common.tree, kWatchKey,
        to_pickle({{"skipped_iterations", state.skipped_iterations},
                   {"recent_losses", state.recent_losses},
                   {"iterations_left_out", state.iterations_left_out}}));
  }
  if (optimizer_steps) {
    set(*common.tree, "optimizer",
        make_optimizer(options, model, scheduler, *optimizer_steps, grad_scaler_of(state.loss_scaler)));
    add_storage(common.storages, kStepStorage, static_cast<float>(*optimizer_steps));
    if (state.loss_scaler) add_storage(common.storages, kScaleStorage, state.loss_scaler->scale);
  }
  return common;
}

void read_watch(const formats::PickleValue& common, TrainingState& state) {
  const PickleValue* watch = common.get(kWatchKey);
  if (watch == nullptr) return;
  const auto items = [&](const char* name) -> std::vector<PicklePtr> {
    const PickleValue* list = watch->get(name);
    return list != nullptr ? list->items : std::vector<PicklePtr>();
  };
  if (const PickleValue* skipped = watch->get("skipped_iterations")) state.skipped_iterations = skipped->integer;
  for (const PicklePtr& loss : items("recent_losses")) state.recent_losses.push_back(loss->number);
  for (const PicklePtr& number : items("iterations_left_out")) state.iterations_left_out.push_back(number->integer);
}

std::optional<optim::LossScalerState> read_loss_scaler(const formats::TorchFile& common) {
  const PickleValue* optimizer = common.value->get("optimizer");
  const PickleValue* scaler = optimizer ? optimizer->get("grad_scaler") : nullptr;
  if (optimizer && !scaler && !optimizer->dict.empty()) scaler = optimizer->dict.front().second->get("grad_scaler");
  if (!scaler) return {};
  const PickleValue *scale = scaler->get("scale"), *growth = scaler->get("growth_tracker"),
                    *hysteresis = scaler->get("hysteresis_tracker");
  if (!scale || !formats::is_tensor(*scale) || !growth || !hysteresis) return {};
  const PicklePtr value = formats::read_scalar(common, *scale);
  if (value->kind != PickleValue::Kind::kFloat || !(value->number > 0)) return {};
  return optim::LossScalerState{.scale = static_cast<float>(value->number),
                                .growth_tracker = growth->integer,
                                .hysteresis_tracker = hysteresis->integer};
}

formats::TorchFile read_common(const fs::path& iter_dir) {
  const ReadFile file(iter_dir / "common.pt");
  return formats::read_torch_file(file, 0, file.size(), store::common_globals());
}

int64_t read_optimizer_steps(const formats::TorchFile& common, const std::string& where) {
  if (const PickleValue* optimizer = common.value->get("optimizer")) {
    if (const auto steps = steps_of(*optimizer, common.storages)) return *steps;
  }
  throw Error(ErrorKind::kInput, where, "the number of optimizer steps is not recorded, or its records disagree",
              {.got = {},
               .want = "optimizer.state.common_step or a step in the param_groups",
               .hint = "checkpoint.load_optim=false starts with a fresh optimizer"});
}

}  // namespace rialto::checkpoint
