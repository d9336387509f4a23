// Scalars of a run. Source of the tags: Megatron Bridge, training_log and evaluate_and_print_results.
#include "rialto/train/tensorboard.h"

#include <algorithm>
#include <cmath>

#include "rialto/formats/event_cut.h"
#include "rialto/train/timer_lines.h"

namespace rialto::train {
namespace {

constexpr std::string_view kVsSamples = " vs samples";

double unit_seconds(const std::string& unit) {
  if (unit == "minutes") return 60;
  if (unit == "hours") return 3600;
  if (unit == "days") return 86400;
  return 1;
}

}  // namespace

TensorBoard::TensorBoard(FileOps& ops, const config::RunConfig& config, int64_t first_iteration,
                         int64_t consumed_samples)
    : config_(config),
      logger_(config.logger),
      first_iteration_(first_iteration),
      consumed_samples_(consumed_samples),
      file_(ops, config.logger.tensorboard_dir, first_iteration == 0, config.logger.tensorboard_queue_size) {
  if (first_iteration == 0) return;
  formats::cut_event_files(ops, logger_.tensorboard_dir, [&](std::string_view tag, int64_t step) {
    return step <= (tag.ends_with(kVsSamples) ? consumed_samples : first_iteration);
  });
}

void TensorBoard::add(const std::string& tag, double value, int64_t iteration, int64_t samples) {
  file_.add(tag, value, iteration);
  file_.add(tag + std::string(kVsSamples), value, samples);
}

void TensorBoard::step(const StepRecord& record, const std::map<std::string, double>& gradient_norms) {
  consumed_samples_ = record.consumed_samples;
  window_.push_back(
      {record.elapsed_ms, static_cast<double>(record.global_batch_size), static_cast<double>(record.num_tokens)});
  if (window_.size() > static_cast<size_t>(logger_.throughput_window_size)) window_.pop_front();
  for (const auto& [name, ms] : record.phases_ms) timed_ms_[name] += ms;
  ++timed_iterations_;
  if (!due(logger_, record.iteration)) return;
  const int64_t iteration = record.iteration;
  if (logger_.log_timers_to_tensorboard) {
    for (const auto& [name, ms] : timers_of(timed_ms_, logger_.timing_log_level))
      file_.add(name + "-time", ms / 1e3 / static_cast<double>(timed_iterations_), iteration);
  }
  timed_ms_.clear();
  timed_iterations_ = 0;
  if (logger_.log_throughput_to_tensorboard) add_throughput(record);
  if (logger_.log_memory_to_tensorboard)
    for (const auto& [name, value] : record.memory) file_.add("memory/" + name, value, iteration);
  if (logger_.log_runtime_to_tensorboard) add_runtime(record);
  for (const auto& [name, norm] : gradient_norms) file_.add(name, norm, iteration);
  add_losses(record);
}

void TensorBoard::add_losses(const StepRecord& record) {
  const auto both = [&](const char* tag, double value) { add(tag, value, record.iteration, record.consumed_samples); };
  both("learning-rate", record.next_learning_rate);
  both("batch-size", static_cast<double>(record.global_batch_size));
  both("lm loss", record.loss);
  for (const auto& [name, loss] : named(record.extra)) file_.add(name, loss, record.iteration);
  if (logger_.log_loss_scale_to_tensorboard) both("loss-scale", record.loss_scale);
  if (logger_.log_world_size_to_tensorboard) both("world-size", static_cast<double>(record.world_size));
  if (record.skipped_samples > 0)
    file_.add("skipped-train-samples", static_cast<double>(record.skipped_samples), record.iteration);
  if (!record.skipped) both("grad-norm", record.grad_norm);
  if (record.num_zeros) both("num-zeros", static_cast<double>(*record.num_zeros));
  if (record.params_norm) both("params-norm", *record.params_norm);
}

/// Megatron waits for a full window and takes every batch to be as large as now's; here each counts as it was.
void TensorBoard::add_throughput(const StepRecord& record) {
  Done sum;
  for (const Done& done : window_) {
    sum.ms += done.ms;
    sum.samples += done.samples;
    sum.tokens += done.tokens;
  }
  if (sum.ms <= 0) return;
  for (const auto& [name, amount] : {std::pair("batches", static_cast<double>(window_.size())),
                                     std::pair("samples", sum.samples), std::pair("tokens", sum.tokens)}) {
    const double rate = amount / sum.ms * 1e3;
    file_.add(std::string("throughput/") + name + "_per_sec", rate, record.iteration);
    file_.add(std::string("throughput/device/") + name + "_per_sec", rate, record.iteration);
  }
  file_.add("throughput/micro_batch_size", static_cast<double>(config_.train.micro_batch_size), record.iteration);
  file_.add("throughput/global_batch_size", static_cast<double>(record.global_batch_size), record.iteration);
}

/// The estimate goes by the iterations of this process, so that it is right after a resume too.
void TensorBoard::add_runtime(const StepRecord& record) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const auto done = static_cast<double>(record.iteration - first_iteration_);
  const auto left = static_cast<double>(std::max<int64_t>(0, config_.train.train_iters - record.iteration));
  const double unit = unit_seconds(logger_.runtime_time_unit);
  file_.add("time/remaining_estimate", seconds / done * left / unit, record.iteration);
  file_.add("time/total", seconds / unit, record.iteration);
  const double row = static_cast<double>(record.num_tokens) / static_cast<double>(record.global_batch_size);
  file_.add("time/tokens", static_cast<double>(record.consumed_samples) * row, record.iteration);
  file_.add("time/samples", static_cast<double>(record.consumed_samples), record.iteration);
  file_.add("time/batches", static_cast<double>(record.iteration), record.iteration);
}

void TensorBoard::interval(int64_t iteration, double mean_elapsed_ms, double tflops_per_device, double tflops) {
  if (logger_.log_throughput_to_tensorboard) {
    file_.add("throughput/tflops/device", tflops_per_device, iteration);
    file_.add("throughput/tflops", tflops, iteration);
  }
  if (logger_.log_timers_to_tensorboard) file_.add("iteration-time", mean_elapsed_ms / 1e3, iteration);
}

void TensorBoard::evaluation(const EvalRecord& record) {
  const std::string tag = record.part == EvalPart::kTest ? "lm loss test" : "lm loss validation";
  add(tag, record.loss, record.iteration, consumed_samples_);
  if (logger_.log_validation_ppl_to_tensorboard)
    add(tag + " ppl", std::exp(std::min(20.0, record.loss)), record.iteration, consumed_samples_);
}

}  // namespace rialto::train
