// What a run tells of itself.
#include "rialto/train/reporter.h"

#include <algorithm>
#include <cmath>

#include "rialto/train/gpu.h"
#include "rialto/train/memory_use.h"
#include "rialto/train/norms.h"
#include "rialto/train/timer_lines.h"
#include "rialto/train/utilization.h"

namespace rialto::train {

Reporter::Reporter(const config::RunConfig& config, const Hooks& hooks, const checkpoint::TrainingState& state,
                   at::Device device)
    : config_(config), hooks_(hooks), device_(device), peak_tflops_(config.logger.peak_tflops_per_device) {
  FileOps& ops = hooks.file_ops ? *hooks.file_ops : real_file_ops();
  if (!peak_tflops_ && device.is_cuda()) peak_tflops_ = known_peak_tflops(gpu::device_name(device.index()));
  if (!config.logger.save_config_filepath.empty())
    write_file_atomically(ops, config.logger.save_config_filepath, config::write_run_config(config));
  fs::path path = config.logger.metrics_jsonl;
  if (path.empty() && !config.checkpoint.save.empty()) path = fs::path(config.checkpoint.save) / "metrics.jsonl";
  if (!path.empty()) metrics_.emplace(ops, path, state.iteration);
  if (!config.logger.tensorboard_dir.empty())
    tensorboard_.emplace(ops, config, state.iteration, state.consumed_train_samples);
}

void Reporter::step(StepRecord record, const model::Weights& weights) {
  record.peak_tflops = peak_tflops_;
  record.memory = memory_use(device_);
  if (config_.logger.log_params_norm) record.params_norm = weights_norm(weights);
  if (config_.optimizer.log_num_zeros_in_grad) record.num_zeros = zeros_in_gradient(weights);
  if (metrics_) metrics_->append(to_json(record));
  if (hooks_.on_train_step_end) hooks_.on_train_step_end(record);
  if (tensorboard_) {
    const bool norms = config_.logger.log_l2_norm_grad_to_tensorboard && tensorboard_->due(record.iteration);
    tensorboard_->step(record, norms ? gradient_norms(weights) : std::map<std::string, double>());
  }
  logged_.elapsed_ms += record.elapsed_ms;
  logged_.flops += record.flops;
  for (const auto& [name, ms] : record.phases_ms) logged_.phases_ms[name] += ms;
  if (record.skipped) {
    ++logged_.skips.skipped;
    if (!std::isfinite(record.loss)) ++logged_.skips.nan;
  } else {
    ++logged_.trained;
    logged_.loss += record.loss;
    for (const auto& [name, loss] : named(record.extra)) logged_.extra[name] += loss;
  }
  if (record.iteration % config_.logger.log_interval != 0) return;
  step_lines(record);
  logged_ = {};
}

void Reporter::step_lines(const StepRecord& record) {
  const auto trained = static_cast<double>(std::max<int64_t>(1, logged_.trained));
  const auto all = static_cast<double>(logged_.trained + logged_.skips.skipped);
  for (auto& [name, loss] : logged_.extra) loss /= trained;
  for (auto& [name, ms] : logged_.phases_ms) ms /= all;
  const double mean_ms = logged_.elapsed_ms / all, tflops = logged_.flops / logged_.elapsed_ms / 1e9;
  if (tensorboard_) tensorboard_->interval(record.iteration, mean_ms, tflops);
  if (!hooks_.print) return;
  hooks_.print(step_line(record, logged_.loss / trained, mean_ms,
                         config_.logger.log_throughput ? std::optional(tflops) : std::nullopt,
                         config_.train.train_iters, {}, logged_.extra, logged_.skips));
  const std::string timers =
      timer_lines(timers_of(logged_.phases_ms, config_.logger.timing_log_level), config_.logger.timing_log_option);
  if (!timers.empty()) hooks_.print(timers);
}

void Reporter::left_out(const LeftOutRecord& record) {
  if (metrics_) metrics_->append(to_json(record));
}

void Reporter::evaluation(const EvalRecord& record) {
  if (metrics_) metrics_->append(to_json(record));
  if (tensorboard_) tensorboard_->evaluation(record);
  const auto& ended = record.part == EvalPart::kTest ? hooks_.on_test_end : hooks_.on_eval_end;
  if (ended) ended(record);
  if (hooks_.print) hooks_.print(eval_lines(record));
}

void Reporter::sync() {
  if (metrics_) metrics_->sync();
  if (tensorboard_) tensorboard_->flush();
}

}  // namespace rialto::train
