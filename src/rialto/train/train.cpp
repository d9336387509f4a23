// The training loop.
#include "rialto/train/train.h"

#include <ATen/Functions.h>

#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/train/evaluate.h"
#include "rialto/train/metrics.h"
#include "rialto/train/schedule_state.h"
#include "rialto/train/setup.h"
#include "rialto/train/step.h"

namespace rialto::train {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// True when every element is finite; looks at pieces, so that no copy of the model is made.
bool all_finite(const at::Tensor& flat) {
  constexpr int64_t kPiece = int64_t{1} << 22;
  for (int64_t begin = 0; begin < flat.numel(); begin += kPiece) {
    const at::Tensor part = flat.narrow(0, begin, std::min(kPiece, flat.numel() - begin));
    if (!at::isfinite(part).all().item<bool>()) return false;
  }
  return true;
}

class Loop {
 public:
  Loop(const config::RunConfig& config, const Hooks& hooks)
      : config_(config),
        hooks_(hooks),
        ops_(hooks.file_ops ? *hooks.file_ops : real_file_ops()),
        setup_(set_up(config, hooks)) {
    result_.first_iteration = result_.iteration = setup_.state.iteration;
    result_.num_parameters = spec::num_parameters(setup_.model_spec);
    if (setup_.resumed_from) {
      result_.checkpoint = setup_.resumed_from;
      saved_iteration_ = setup_.state.iteration;
    }
  }

  Result run() {
    const auto start = Clock::now();
    open_metrics();
    const int64_t last = config_.train.train_iters;
    // A new run's first evaluation shows where it starts from; a resumed run's was made before it was saved.
    if (config_.validation.eval_interval && setup_.state.iteration == 0 && !setup_.resumed_from) evaluate_now(false);
    while (setup_.state.iteration < last && result_.end == End::kFinished) {
      iterate();
      const int64_t now = setup_.state.iteration;
      if (due(config_.validation.eval_interval, now) && now < last) evaluate_now(false);
      if (hooks_.stop_requested && hooks_.stop_requested() && now < last)
        result_.end = End::kStopped;
      else if (due(config_.train.exit_interval, now) && now < last)
        result_.end = End::kExitInterval;
      if (now == last && config_.validation.eval_interval) evaluate_now(true);
      if (due(config_.checkpoint.save_interval, now) || now == last || result_.end != End::kFinished) save_now();
    }
    if (metrics_) metrics_->sync();
    result_.seconds = ms_since(start) / 1e3;
    return result_;
  }

 private:
  static bool due(const std::optional<int64_t>& interval, int64_t iteration) {
    return interval && iteration % *interval == 0;
  }

  void open_metrics() {
    fs::path path = config_.logger.metrics_jsonl;
    if (path.empty() && !config_.checkpoint.save.empty()) path = fs::path(config_.checkpoint.save) / "metrics.jsonl";
    if (path.empty()) return;
    metrics_.emplace(ops_, path, setup_.state.iteration);
    result_.metrics = path;
  }

  void iterate() {
    const auto start = Clock::now();
    checkpoint::TrainingState& state = setup_.state;
    const int64_t batch_size = config_.train.global_batch_size;
    const GlobalBatch batch = make_global_batch(*setup_.train_data, state.consumed_train_samples, batch_size,
                                                config_.train.micro_batch_size, setup_.model_spec.vocab, setup_.device);
    StepRecord record;
    record.iteration = state.iteration + 1;
    record.learning_rate = setup_.schedule.lr_at(state.consumed_train_samples);
    bool stepped = false;
    const Iteration iteration = run_iteration(*setup_.model, *setup_.weights, batch, [&] {
      record.grad_norm = optim::grad_norm(*setup_.weights);
      if (!std::isfinite(record.grad_norm)) return;
      setup_.optimizer->step(record.learning_rate, optim::clip_scale(record.grad_norm, config_.optimizer.clip_grad));
      stepped = true;
    });
    record.loss = iteration.loss;
    record.extra = iteration.extra;
    if (!stepped) stop_not_finite(record);
    if (config_.model.moe_router_bias_update_rate > 0)
      model::update_selection_bias(*setup_.weights, iteration.routed, config_.model.moe_router_bias_update_rate);

    state.iteration = record.iteration;
    state.consumed_train_samples += batch_size;
    record.flops = spec::train_flops(setup_.model_spec, static_cast<double>(batch.num_tokens),
                                     static_cast<double>(setup_.seq_length));
    state.floating_point_operations_so_far += record.flops;
    record.consumed_samples = state.consumed_train_samples;
    record.next_learning_rate = setup_.schedule.lr_at(state.consumed_train_samples);
    record.global_batch_size = batch_size;
    record.num_tokens = batch.num_tokens;
    record.elapsed_ms = ms_since(start);
    result_.iteration = record.iteration;
    result_.last_loss = record.loss;
    report(record);
  }

  void report(const StepRecord& record) {
    if (metrics_) metrics_->append(to_json(record));
    if (hooks_.on_step) hooks_.on_step(record);
    ++logged_.count;
    logged_.loss += record.loss;
    logged_.elapsed_ms += record.elapsed_ms;
    logged_.flops += record.flops;
    for (const auto& [name, loss] : named(record.extra)) logged_.extra[name] += loss;
    if (!due(config_.logger.log_interval, record.iteration)) return;
    const auto count = static_cast<double>(logged_.count);
    for (auto& [name, loss] : logged_.extra) loss /= count;
    if (hooks_.print) {
      hooks_.print(step_line(record, logged_.loss / count, logged_.elapsed_ms / count,
                             logged_.flops / logged_.elapsed_ms / 1e9, config_.train.train_iters, {}, logged_.extra));
    }
    logged_ = {};
  }

  void evaluate_now(bool at_end) {
    EvalRecord record = evaluate(*setup_.model, *setup_.valid_data, config_, setup_.model_spec.vocab, setup_.device,
                                 setup_.state.iteration);
    record.at_end = at_end;
    setup_.state.consumed_valid_samples += config_.validation.eval_iters * config_.train.global_batch_size;
    result_.last_eval_loss = record.loss;
    if (metrics_) metrics_->append(to_json(record));
    if (hooks_.on_eval) hooks_.on_eval(record);
    if (hooks_.print) hooks_.print(eval_lines(record));
  }

  bool weights_finite() const {
    return all_finite(setup_.optimizer->main()) && all_finite(setup_.weights->flat_data());
  }

  void save_now() {
    if (config_.checkpoint.save.empty() || saved_iteration_ == setup_.state.iteration) return;
    if (!weights_finite()) {
      throw Error(ErrorKind::kInternal, fmt::format("iteration {}", setup_.state.iteration),
                  "the weights are not finite, so they are not saved",
                  {.got = {},
                   .want = {},
                   .hint = result_.checkpoint ? "the newest good checkpoint is " + result_.checkpoint->string() : ""});
    }
    if (metrics_) metrics_->sync();  // records of a saved iteration are on disk before it is
    checkpoint::SaveOptions options;
    options.root = config_.checkpoint.save;
    options.run_config_yaml = config::write_portable_sections(config_);
    options.run_keys_yaml = config::write_run_keys(config_);
    options.args = megatron_args();
    options.adam = setup_.adam;
    options.lr = setup_.schedule.lr_at(setup_.state.consumed_train_samples);
    options.hf_source = setup_.hf_source;
    // What the first save took from the HF folder is carried from save to save: the folder may change or go meanwhile.
    options.previous_iter =
        result_.checkpoint && fs::exists(*result_.checkpoint) ? result_.checkpoint : setup_.native_source;
    if (!config_.tokenizer.tokenizer_model.empty()) options.tokenizer = config_.tokenizer.tokenizer_model;
    options.separate_expert_optimizer = config_.checkpoint.separate_expert_optimizer;
    options.replace = true;  // set_up refused folders of other runs; what is there is this run's own later part
    const Json scheduler = scheduler_state(config_, setup_.schedule, setup_.state.consumed_train_samples);
    const fs::path folder = checkpoint::save(ops_, options, setup_.model_spec, *setup_.weights,
                                             config_.checkpoint.save_optim ? setup_.optimizer.get() : nullptr,
                                             setup_.state, scheduler, hooks_.progress);
    saved_iteration_ = setup_.state.iteration;
    result_.checkpoint = folder;
    if (hooks_.on_save) hooks_.on_save(saved_iteration_, folder);
  }

  Json megatron_args() const {
    return {{"seq_length", setup_.seq_length},
            {"micro_batch_size", config_.train.micro_batch_size},
            {"global_batch_size", config_.train.global_batch_size},
            {"train_iters", config_.train.train_iters},
            {"bf16", config_.mixed_precision != "fp32"},
            {"fp16", false},
            {"lr", config_.optimizer.lr},
            {"min_lr", config_.optimizer.min_lr},
            {"weight_decay", config_.optimizer.weight_decay},
            {"adam_beta1", config_.optimizer.adam_beta1},
            {"adam_beta2", config_.optimizer.adam_beta2},
            {"adam_eps", config_.optimizer.adam_eps},
            {"clip_grad", config_.optimizer.clip_grad},
            {"optimizer", config_.optimizer.optimizer},
            {"use_distributed_optimizer", config_.optimizer.use_distributed_optimizer},
            {"seed", config_.rng.seed}};
  }

  [[noreturn]] void stop_not_finite(const StepRecord& record) {
    const bool loss = !std::isfinite(record.loss);
    std::string saved = "nothing was saved: checkpoint.save is not set";
    if (!config_.checkpoint.save.empty()) {
      if (weights_finite()) {
        save_now();
        saved = "the state before this iteration is in " + result_.checkpoint->string();
      } else {
        saved =
            "the weights are not finite either" +
            (result_.checkpoint ? "; the newest good checkpoint is " + result_.checkpoint->string() : std::string());
      }
    }
    if (metrics_) metrics_->sync();
    throw Error(
        ErrorKind::kInternal, fmt::format("iteration {}", record.iteration),
        loss ? "the loss is not finite" : "the gradient's norm is not finite",
        {.got = std::isnan(loss ? record.loss : record.grad_norm) ? "nan" : "infinity", .want = {}, .hint = saved});
  }

  const config::RunConfig& config_;
  const Hooks& hooks_;
  FileOps& ops_;
  Setup setup_;
  std::optional<MetricsFile> metrics_;
  Result result_;
  int64_t saved_iteration_ = -1;
  struct {
    int64_t count = 0;
    double loss = 0, elapsed_ms = 0, flops = 0;
    std::map<std::string, double> extra = {};
  } logged_;
};

std::string_view name_of(End end) {
  switch (end) {
    case End::kFinished:
      return "finished";
    case End::kExitInterval:
      return "exit_interval";
    case End::kStopped:
      return "stopped";
  }
  return "";
}

}  // namespace

Json to_json(const Result& result) {
  Json json = {{"end", name_of(result.end)},
               {"first_iteration", result.first_iteration},
               {"iteration", result.iteration},
               {"lm loss", result.last_loss},
               {"validation loss", nullptr},
               {"checkpoint", nullptr},
               {"metrics", nullptr},
               {"parameters", result.num_parameters},
               {"seconds", result.seconds}};
  if (result.last_eval_loss) json["validation loss"] = *result.last_eval_loss;
  if (result.checkpoint) json["checkpoint"] = result.checkpoint->string();
  if (!result.metrics.empty()) json["metrics"] = result.metrics.string();
  return json;
}

Result train(const config::RunConfig& config, const Hooks& hooks) { return Loop(config, hooks).run(); }

}  // namespace rialto::train
