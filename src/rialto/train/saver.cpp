// Saves a run's state.
#include "rialto/train/saver.h"

#include <ATen/Functions.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/data/ledger.h"
#include "rialto/train/schedule_state.h"

namespace rialto::train {
namespace {

/// Megatron-LM's `args`, beyond what the model says.
Json megatron_args(const Setup& setup) {
  const config::RunConfig& config = setup.config;
  return {{"seq_length", setup.seq_length},
          {"micro_batch_size", config.train.micro_batch_size},
          {"global_batch_size", config.train.global_batch_size},
          {"train_iters", config.train.train_iters},
          {"bf16", setup.model_spec.dtype == DType::kBF16},
          {"fp16", setup.model_spec.dtype == DType::kF16},
          {"lr", config.optimizer.lr},
          {"min_lr", config.optimizer.min_lr},
          {"weight_decay", config.optimizer.weight_decay},
          {"adam_beta1", config.optimizer.adam_beta1},
          {"adam_beta2", config.optimizer.adam_beta2},
          {"adam_eps", config.optimizer.adam_eps},
          {"clip_grad", config.optimizer.clip_grad},
          {"optimizer", config.optimizer.optimizer},
          {"use_distributed_optimizer", config.optimizer.use_distributed_optimizer},
          {"seed", config.rng.seed}};
}

}  // namespace

bool weights_finite(const Setup& setup) {
  const bool finite = optim::all_finite(setup.weights->flat_data()) && setup.optimizer->main_is_finite();
  return !comm::any(!finite, setup.mesh);
}

Saver::Saver(const config::RunConfig& config, const Hooks& hooks, Setup& setup)
    : config_(config),
      hooks_(hooks),
      ops_(hooks.file_ops ? *hooks.file_ops : real_file_ops()),
      setup_(setup),
      newest_(setup.resumed_from) {
  if (newest_) saved_iteration_ = setup.state.iteration;
}

void Saver::save() {
  if (config_.checkpoint.save.empty() || saved_iteration_ == setup_.state.iteration) return;
  setup_.parallel->await_weights();
  if (!weights_finite(setup_)) {
    throw Error(ErrorKind::kInternal, fmt::format("iteration {}", setup_.state.iteration),
                "the weights are not finite, so they are not saved",
                {.got = {}, .want = {}, .hint = newest_ ? "the newest good checkpoint is " + newest_->string() : ""});
  }
  write_ledger();
  const Json scheduler = scheduler_state(setup_.schedule, setup_.state.scheduled_samples);
  newest_ = checkpoint::save(ops_, options(), setup_.model_spec, *setup_.weights,
                             config_.checkpoint.save_optim ? setup_.optimizer.get() : nullptr, setup_.state, scheduler,
                             hooks_.progress);
  comm::barrier(setup_.mesh, "the end of a save");
  saved_iteration_ = setup_.state.iteration;
  if (hooks_.on_checkpoint_save) hooks_.on_checkpoint_save(saved_iteration_, *newest_);
}

void Saver::write_ledger() {
  if (!hooks_.writes()) return;
  if (!ledger_)
    ledger_.emplace(ops_, fs::path(config_.checkpoint.save) / data::kLedgerName,
                    std::max<int64_t>(0, saved_iteration_));
  ledger_->append(data::to_json(
      data::ledger_entry(*setup_.train_data, setup_.state.iteration, setup_.state.consumed_train_samples)));
  ledger_->sync();
}

checkpoint::SaveOptions Saver::options() const {
  checkpoint::SaveOptions options;
  options.mesh = setup_.mesh;
  options.root = config_.checkpoint.save;
  options.run_config_yaml = config::write_portable_sections(config_);
  options.run_keys_yaml = config::write_run_keys(config_);
  options.args = megatron_args(setup_);
  options.optimizer = setup_.optimizer->options();
  options.rates = setup_.schedule.at(setup_.state.scheduled_samples);
  if (config_.optimizer.decoupled_lr)
    options.decoupled_lr = optim::Bounds{setup_.schedule.decoupled_lr.max_lr, setup_.schedule.decoupled_lr.min_lr};
  options.hf_source = setup_.hf_source;
  // What the first save took from the HF folder is carried from save to save: the folder may change or go meanwhile.
  options.previous_iter = newest_ && fs::exists(*newest_) ? newest_ : setup_.native_source;
  if (!config_.tokenizer.tokenizer_model.empty()) options.tokenizer = config_.tokenizer.tokenizer_model;
  options.recipes = setup_.recipes.get();
  options.separate_expert_optimizer = config_.checkpoint.separate_expert_optimizer;
  options.replace = true;  // set_up refused folders of other runs; what is there is this run's own later part
  return options;
}

}  // namespace rialto::train
