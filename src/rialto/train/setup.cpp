// From a configuration to a run that can start.
#include "rialto/train/setup.h"

#include <ATen/Context.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/config/batch_sizes.h"
#include "rialto/config/context_ways.h"
#include "rialto/config/pipeline_layout.h"
#include "rialto/config/precision.h"
#include "rialto/data/packed_row.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/local_model.h"
#include "rialto/hub/tokenizer.h"
#include "rialto/hub/tokenizer_file.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/spelled_model.h"
#include "rialto/train/memory.h"
#include "rialto/train/open_data.h"
#include "rialto/train/optimizer_options.h"
#include "rialto/train/precision.h"
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
  const DType dtype = config::precision_of(config).dtype;
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
      hub::require_tokenizer_type(config.tokenizer.tokenizer_model, config.tokenizer.tokenizer_type,
                                  "tokenizer.tokenizer_type");
      const hub::Tokenizer tokenizer(config.tokenizer.tokenizer_model);
      if (const auto eos = tokenizer.id_of(tokenizer.eos_token().value_or("<|endoftext|>")))
        model.eos_token_ids = {*eos};
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

/// Those of delayed FP8 scaling, for a model that has it.
void load_scales(const fs::path& iter_dir, Setup& setup, Progress* progress) {
  if (setup.recipes->delayed().empty() || checkpoint::load_fp8_state(iter_dir, *setup.recipes)) return;
  if (progress) progress->notice("the checkpoint has no state of delayed FP8 scaling: scales start from 1");
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
        load_run_state(origin.source->path, setup, hooks.progress);
        if (config.scheduler.use_checkpoint_opt_param_scheduler)
          take_schedule_of(origin.source->path, setup.schedule);
        else if (!config.scheduler.override_opt_param_scheduler)
          check_schedule_unchanged(origin.source->path, setup.schedule);
      } else {
        checkpoint::load_weights(*origin.source, *setup.weights, hooks.progress);
        setup.optimizer->reset_main_from_weights();
        setup.state = checkpoint::load_state(origin.source->path);
        setup.state.loss_scaler.reset();
        load_scales(origin.source->path, setup, hooks.progress);
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

parallel::Options parallel_options(const config::RunConfig& config) {
  const config::DdpSection& ddp = config.ddp;
  // Source of the default: Megatron-Core distributed_data_parallel.py.
  const int64_t usual =
      ddp.overlap_grad_reduce ? std::max<int64_t>(40'000'000, 1'000'000 * config.world_size) : INT64_MAX;
  return {.bucket_size = ddp.bucket_size.value_or(usual),
          .overlap_grad_reduce = ddp.overlap_grad_reduce,
          .average_in_collective = ddp.average_in_collective,
          .check_for_nan_in_grad =
              ddp.check_for_nan_in_grad && config.resilience.on_nonfinite == "stop" && !make_loss_scaler(config),
          .shard_optimizer = config.optimizer.use_distributed_optimizer,
          .overlap_param_gather = ddp.overlap_param_gather};
}

/// The model of one of this rank's stages.
void make_stage(int chunk, Setup& setup) {
  const config::RunConfig& config = setup.config;
  const auto layers = static_cast<int64_t>(setup.model_spec.layers.size());
  const spec::StageRange range =
      spec::stage_range(layers, setup.mesh.layout(), setup.mesh.index(comm::Axis::kPp), chunk);
  model::Model& model = *setup.models.emplace_back(
      std::make_unique<model::Model>(setup.model_spec, *setup.weights, setup.mesh, range, setup.recipes.get()));
  model::Recorder recorder{.watch = setup.parallel->watch()};
  if (config.parallel.split_weight_gradients)
    recorder.sink = setup.sinks.emplace_back(std::make_unique<SplitSink>()).get();
  model.set_recorder(recorder);
  model.set_objective({.moe_aux_loss_coeff = config.model.moe_aux_loss_coeff,
                       .moe_z_loss_coeff = config.model.moe_z_loss_coeff,
                       .mtp_loss_scaling_factor = config.model.mtp_loss_scaling_factor,
                       .per_token = config.model.calculate_per_token_loss,
                       .capacity = {.factor = config.model.moe_expert_capacity_factor.value_or(0),
                                    .by_position = config.model.moe_token_drop_policy == "position"}});
  model.set_dropout(config.memory.hidden_dropout, config.memory.attention_dropout,
                    static_cast<uint64_t>(config.rng.seed));
  model.set_memory(memory_plan(config.memory, setup.model_spec));
}

}  // namespace

BatchForm Setup::batch_form() const {
  const config::ParallelKeys& split = config.parallel;
  const int64_t tp = split.sequence_parallel ? split.tensor_model_parallel_size : 1;
  return {.vocab = model_spec.vocab,
          .device = device,
          .joined_multiple =
              config.dataset.pack_sequences_in_batch ? data::padding_multiple(split.context_parallel_size, tp) : 0};
}

Stages Setup::stages() const {
  Stages stages;
  for (const auto& model : models) stages.chunks.push_back(model.get());
  for (const auto& sink : sinks) stages.sinks.push_back(sink.get());
  stages.mesh = mesh;
  stages.order = {.microbatch_group = static_cast<int>(config.parallel.microbatch_group_size_per_vp_stage.value_or(0)),
                  .split_weight_gradients = config.parallel.split_weight_gradients};
  stages.num_depths = model_spec.mtp.size();
  return stages;
}

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

void load_run_state(const fs::path& iter_dir, Setup& setup, Progress* progress) {
  setup.state = checkpoint::load_training(iter_dir, setup.model_spec, *setup.weights, *setup.optimizer, progress);
  if (setup.loss_scaler && setup.state.loss_scaler && setup.loss_scaler->is_dynamic()) {
    setup.loss_scaler->set_state(*setup.state.loss_scaler);
  } else {
    setup.state.loss_scaler.reset();
  }
  load_scales(iter_dir, setup, progress);
}

Setup set_up(const config::RunConfig& given, const Hooks& hooks) {
  config::check_rules(given);
  Progress& progress = hooks.progress ? *hooks.progress : silent();
  Setup setup;
  setup.device = parse_device(hooks.device);
  spec::Layout layout{.tp = static_cast<int>(given.parallel.tensor_model_parallel_size),
                      .cp = static_cast<int>(given.parallel.context_parallel_size),
                      .dp = static_cast<int>(given.data_parallel_size()),
                      .pp = static_cast<int>(given.parallel.pipeline_model_parallel_size),
                      .vpp = static_cast<int>(config::pipeline_chunks(given.parallel)),
                      .ep = static_cast<int>(given.parallel.expert_model_parallel_size),
                      .etp = static_cast<int>(given.parallel.expert_ranks()),
                      .sp = given.parallel.sequence_parallel,
                      .dispatcher = given.parallel.moe_token_dispatcher_type == "alltoall"
                                        ? spec::TokenDispatcher::kAllToAll
                                        : spec::TokenDispatcher::kAllGather,
                      .context_ways = config::context_ways(given.parallel)};
  // Only one type of a2a+p2p makes levels; without it all of cp is one.
  if (!given.parallel.hierarchical_context_parallel_sizes.empty())
    layout.cp_inner = static_cast<int>(given.parallel.hierarchical_context_parallel_sizes.front());
  setup.phases = Phases(setup.device, given.logger.timing_log_level > 0, given.profiling.nvtx_ranges);
  const Origin origin = find_origin(given, progress);
  refuse_foreign_folder(given, origin);
  setup.model_spec = make_model_spec(given, origin);
  config::check_rules(given, &setup.model_spec);
  layout.stage_layers = config::layers_of_stages(given.parallel, static_cast<int64_t>(setup.model_spec.layers.size()));
  layout.key_copies = spec::key_copies(setup.model_spec, layout.tp);
  setup.mesh = comm::Mesh(layout, hooks.world);
  setup.flops.emplace(setup.model_spec);
  refuse_separate_experts_of_none(given, setup.model_spec);
  setup.seq_length = sequence_length(given, setup.model_spec);
  if (origin.source) (origin.source->native ? setup.native_source : setup.hf_source) = origin.source->path;
  if (hooks.on_data_init_start) hooks.on_data_init_start();
  data::DatasetOpener opener = data_opener(given, hooks, setup);
  setup.config = config::with_train_iters(given, [&] { return opener.open(data::Part::kTrain, 0)->size(); });
  if (given.train.num_epochs) config::check_rules(setup.config);
  const config::RunConfig& config = setup.config;
  setup.schedule = make_schedule(config);

  const model::Context context{setup.device, checkpoint::scalar_type_of(setup.model_spec.dtype)};
  setup.weights =
      std::make_unique<model::Weights>(setup.model_spec, setup.mesh.layout(), setup.mesh.coords(), context, true);
  setup.parallel = std::make_unique<parallel::DataParallel>(*setup.weights, setup.mesh, parallel_options(config));
  setup.optimizer =
      std::make_unique<optim::Optimizer>(*setup.weights, optimizer_options(config), setup.parallel->owned());
  const auto layers = static_cast<int64_t>(setup.model_spec.layers.size());
  setup.recipes = std::make_unique<model::BlockRecipes>(block_precision(config, layers), layers, setup.device);
  for (int chunk = 0; chunk < layout.vpp; ++chunk) make_stage(chunk, setup);
  setup.loss_scaler = make_loss_scaler(config);
  load(config, origin, hooks, setup);
  if (setup.resumed_from)
    progress.notice(fmt::format("resuming {} at iteration {}", setup.resumed_from->string(), setup.state.iteration));
  open_data(opener, setup);
  if (const auto change = changed_data(setup))
    progress.notice(
        fmt::format("the training data has changed since iteration {}: {}; samples may be read again or never",
                    setup.state.iteration, *change));
  if (hooks.world)
    hooks.world->agree("starting point", fmt::format("iteration {}, {} samples", setup.state.iteration,
                                                     setup.state.consumed_train_samples));
  return setup;
}

}  // namespace rialto::train
