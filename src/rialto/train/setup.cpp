// From a configuration to a run that can start.
#include "rialto/train/setup.h"

#include <ATen/Context.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/local_model.h"
#include "rialto/hub/tokenizer.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/spelled_model.h"
#include "rialto/train/optimizer_options.h"
#include "rialto/train/open_data.h"
#include "rialto/train/schedule_state.h"

namespace rialto::train {
namespace {

enum class Start { kRandom, kPretrained, kResume };

struct Origin {
  Start start = Start::kRandom;
  std::optional<checkpoint::Source> source;
};

Origin find_origin(const config::RunConfig& config, Progress& progress) {
  const config::CheckpointSection& section = config.checkpoint;
  Origin origin;
  if (!section.load.empty() && fs::exists(section.load)) {
    const auto found = store::find_checkpoint(section.load, section.ckpt_step);
    if (found) {
      origin.start = Start::kResume;
      origin.source = checkpoint::open_source(found->iter_dir);
      for (const std::string& notice : found->notices) progress.notice(notice);
      return origin;
    }
  }
  if (section.ckpt_step && !section.load.empty()) {
    throw Error(ErrorKind::kInput, section.load, fmt::format("no checkpoint of iteration {}", *section.ckpt_step));
  }
  if (!section.pretrained_checkpoint.empty()) {
    origin.start = Start::kPretrained;
    origin.source =
        checkpoint::open_source(hub::local_model(section.pretrained_checkpoint, "", real_file_ops(), &progress));
    for (const std::string& notice : origin.source->notices) progress.notice(notice);
  }
  return origin;
}

/// A folder with another run's checkpoints is never mixed with this one's.
void refuse_foreign_folder(const config::RunConfig& config, const Origin& origin) {
  const config::CheckpointSection& section = config.checkpoint;
  if (section.save.empty() || store::list_iterations(section.save).empty()) return;
  const bool resumes_here =
      origin.start == Start::kResume && fs::exists(section.load) && fs::equivalent(section.save, section.load);
  if (!resumes_here) {
    throw Error(
        ErrorKind::kConfig, section.save, "checkpoint.save already holds the checkpoints of a run",
        {.got = {}, .want = "an empty folder", .hint = "set checkpoint.load to the same folder to resume that run"});
  }
}

spec::ModelSpec make_model_spec(const config::RunConfig& config, const Origin& origin) {
  const DType dtype = config.mixed_precision == "fp32" ? DType::kF32 : DType::kBF16;
  spec::ModelSpec model;
  if (origin.source) {
    model = origin.source->model;
    resolve::check_against_model(config.model, model);
    model.dtype = dtype;
  } else {
    std::optional<int64_t> vocab;
    if (!config.model.find("vocab_size") && !config.tokenizer.tokenizer_model.empty()) {
      vocab = hub::Tokenizer(config.tokenizer.tokenizer_model).vocab_size();
    }
    model = resolve::model_from_section(config.model, vocab, dtype);
    if (!config.tokenizer.tokenizer_model.empty()) {
      const fs::path folder = config.tokenizer.tokenizer_model;
      if (const auto eos = hub::Tokenizer(folder).id_of("<|endoftext|>")) model.eos_token_ids = {*eos};
    }
    (void)resolve::hf_from_model(model);  // a model that no HF config can describe is refused before it is trained
  }
  return model;
}

int64_t sequence_length(const config::RunConfig& config, const spec::ModelSpec& model) {
  const auto length = config.dataset.seq_length ? config.dataset.seq_length : config.model.seq_length();
  if (!length)
    throw Error(ErrorKind::kConfig, "dataset.seq_length", "unset",
                {.got = {}, .want = "tokens of a sample", .hint = {}});
  if (*length > model.max_positions) {
    throw Error(ErrorKind::kConfig, "dataset.seq_length", "longer than the model's positions",
                {.got = std::to_string(*length), .want = fmt::format("at most {}", model.max_positions), .hint = {}});
  }
  return *length;
}

void load(const config::RunConfig& config, const Origin& origin, const Hooks& hooks, Setup& setup) {
  switch (origin.start) {
    case Start::kRandom:
      setup.weights->init_random(setup.model_spec, static_cast<uint64_t>(config.rng.seed));
      setup.optimizer->reset_main_from_weights();
      return;
    case Start::kPretrained:
      checkpoint::load_weights(*origin.source, *setup.weights, hooks.progress);
      setup.optimizer->reset_main_from_weights();
      return;
    case Start::kResume:
      if (config.checkpoint.load_optim) {
        setup.state = checkpoint::load_training(origin.source->path, setup.model_spec, *setup.weights, *setup.optimizer,
                                                hooks.progress);
        if (!config.scheduler.override_opt_param_scheduler) {
          check_schedule_unchanged(origin.source->path,
                                   scheduler_state(config, setup.schedule, setup.state.consumed_train_samples));
        }
      } else {
        checkpoint::load_weights(*origin.source, *setup.weights, hooks.progress);
        setup.optimizer->reset_main_from_weights();
        setup.state = checkpoint::load_state(origin.source->path);
      }
      setup.resumed_from = origin.source->path;
      return;
  }
}

void refuse_separate_experts_of_none(const config::RunConfig& config, const spec::ModelSpec& model) {
  const auto has_experts = [](const spec::Layer& layer) { return std::holds_alternative<spec::MoeFfn>(layer.ffn); };
  if (config.checkpoint.separate_expert_optimizer && std::ranges::none_of(model.layers, has_experts)) {
    throw Error(ErrorKind::kConfig, "checkpoint.separate_expert_optimizer", "this model has no experts",
                {.got = "true", .want = "false", .hint = {}});
  }
}

}  // namespace

at::Device parse_device(const std::string& name) {
  if (name == "auto") return at::hasCUDA() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name == "cpu") return at::kCPU;
  if (name == "cuda" || name.rfind("cuda:", 0) == 0) {
    if (!at::hasCUDA())
      throw Error(ErrorKind::kUsage, "--device", "no GPU here", {.got = name, .want = "cpu", .hint = {}});
    const std::string number = name == "cuda" ? "0" : name.substr(5);
    if (!number.empty() && number.size() <= 2 && number.find_first_not_of("0123456789") == std::string::npos) {
      return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(std::stoi(number)));
    }
  }
  throw Error(ErrorKind::kUsage, "--device", "unknown device",
              {.got = name, .want = "auto, cpu, cuda or cuda:N", .hint = {}});
}

Setup set_up(const config::RunConfig& config, const Hooks& hooks) {
  config::check_rules(config);
  Progress& progress = hooks.progress ? *hooks.progress : silent();
  Setup setup;
  setup.device = parse_device(hooks.device);
  const Origin origin = find_origin(config, progress);
  refuse_foreign_folder(config, origin);
  setup.model_spec = make_model_spec(config, origin);
  refuse_separate_experts_of_none(config, setup.model_spec);
  setup.seq_length = sequence_length(config, setup.model_spec);
  setup.schedule = make_schedule(config);
  if (origin.source) (origin.source->native ? setup.native_source : setup.hf_source) = origin.source->path;

  const model::Context context{setup.device, config.mixed_precision == "fp32" ? at::kFloat : at::kBFloat16};
  setup.weights = std::make_unique<model::Weights>(setup.model_spec, spec::Layout{}, spec::Coords{}, context, true);
  setup.optimizer = std::make_unique<optim::Optimizer>(*setup.weights, optimizer_options(config));
  const auto layers = static_cast<int64_t>(setup.model_spec.layers.size());
  setup.model =
      std::make_unique<model::Model>(setup.model_spec, *setup.weights, comm::Mesh{}, spec::stage_range(layers, {}, 0));
  setup.model->set_objective({.moe_aux_loss_coeff = config.model.moe_aux_loss_coeff,
                              .moe_z_loss_coeff = config.model.moe_z_loss_coeff,
                              .mtp_loss_scaling_factor = config.model.mtp_loss_scaling_factor});
  load(config, origin, hooks, setup);
  if (setup.resumed_from)
    progress.notice(fmt::format("resuming {} at iteration {}", setup.resumed_from->string(), setup.state.iteration));
  open_data(config, hooks, setup);
  return setup;
}

}  // namespace rialto::train
