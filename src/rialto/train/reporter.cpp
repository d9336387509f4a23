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

namespace {

/// Each rank's phases; collective.
std::vector<std::map<std::string, double>> of_all_ranks(const std::map<std::string, double>& phases_ms,
                                                        const comm::Mesh& mesh) {
  const auto index = static_cast<size_t>(spec::rank_of(mesh.layout(), mesh.coords()));
  const auto count = static_cast<size_t>(mesh.layout().world());
  std::vector<double> times(count * kNumPhases);
  const auto name = [](size_t phase) { return std::string(name_of(static_cast<Phase>(phase))); };
  for (size_t phase = 0; phase < kNumPhases; ++phase)
    if (const auto found = phases_ms.find(name(phase)); found != phases_ms.end())
      times[index * kNumPhases + phase] = found->second;
  comm::all_reduce_sum(times, mesh);
  std::vector<std::map<std::string, double>> ranks(count);
  for (size_t i = 0; i < times.size(); ++i)
    if (times[i] > 0) ranks[i / kNumPhases][name(i % kNumPhases)] = times[i];
  return ranks;
}

}  // namespace

Reporter::Reporter(const config::RunConfig& config, const Hooks& hooks, const checkpoint::TrainingState& state,
                   at::Device device)
    : config_(config), hooks_(hooks), device_(device), peak_tflops_(config.logger.peak_tflops_per_device) {
  FileOps& ops = hooks.file_ops ? *hooks.file_ops : real_file_ops();
  if (!peak_tflops_ && device.is_cuda()) peak_tflops_ = known_peak_tflops(gpu::device_name(device.index()));
  if (!config.logger.save_config_filepath.empty() && hooks.writes())
    write_file_atomically(ops, config.logger.save_config_filepath, config::write_run_config(config));
  fs::path path = config.logger.metrics_jsonl;
  if (path.empty() && !config.checkpoint.save.empty()) path = fs::path(config.checkpoint.save) / "metrics.jsonl";
  if (!path.empty() && hooks.writes()) metrics_.emplace(ops, path, state.iteration);
  if (!config.logger.tensorboard_dir.empty() && hooks.writes())
    tensorboard_.emplace(ops, config, state.iteration, state.consumed_train_samples);
}

void Reporter::step(StepRecord record, const Setup& setup) {
  const model::Weights& weights = *setup.weights;
  record.world_size = config_.world_size;
  record.peak_tflops = peak_tflops_;
  record.memory = memory_use(device_);
  if (config_.logger.log_params_norm) {
    setup.parallel->await_weights();
    record.params_norm = weights_norm(setup.model_spec, weights, setup.mesh);
  }
  if (config_.optimizer.log_num_zeros_in_grad)
    record.num_zeros = zeros_in_gradient(setup.model_spec, weights, *setup.parallel, setup.mesh);
  if (metrics_) metrics_->append(to_json(record));
  if (hooks_.on_train_step_end) hooks_.on_train_step_end(record);
  std::map<std::string, double> norms;  // of all ranks: each must come here, though one alone writes
  if (config_.logger.log_l2_norm_grad_to_tensorboard && !config_.logger.tensorboard_dir.empty() &&
      TensorBoard::due(config_.logger, record.iteration))
    norms = gradient_norms(setup.model_spec, weights, *setup.parallel, setup.mesh);
  if (tensorboard_) tensorboard_->step(record, norms);
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
  step_lines(record, setup);
  logged_ = {};
}

void Reporter::step_lines(const StepRecord& record, const Setup& setup) {
  const auto trained = static_cast<double>(std::max<int64_t>(1, logged_.trained));
  const auto all = static_cast<double>(logged_.trained + logged_.skips.skipped);
  for (auto& [name, loss] : logged_.extra) loss /= trained;
  for (auto& [name, ms] : logged_.phases_ms) ms /= all;
  const double mean_ms = logged_.elapsed_ms / all, tflops = logged_.flops / logged_.elapsed_ms / 1e9;  // of all devices
  const double per_device = tflops / static_cast<double>(config_.world_size);
  if (tensorboard_) tensorboard_->interval(record.iteration, mean_ms, per_device, tflops);
  std::string timers;
  if (const int64_t level = config_.logger.timing_log_level; level > 0)
    timers = timer_lines(of_all_ranks(logged_.phases_ms, setup.mesh), level, config_.logger.timing_log_option);
  if (!hooks_.print) return;
  hooks_.print(step_line(record, logged_.loss / trained, mean_ms,
                         config_.logger.log_throughput ? std::optional(per_device) : std::nullopt,
                         config_.train.train_iters, {}, logged_.extra, logged_.skips));
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

void Reporter::sample(const SampleRecord& record) {
  if (metrics_) metrics_->append(to_json(record));
}

void Reporter::sync() {
  if (metrics_) metrics_->sync();
  if (tensorboard_) tensorboard_->flush();
}

}  // namespace rialto::train
