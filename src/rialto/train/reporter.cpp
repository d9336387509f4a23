// What a run tells of itself.
#include "rialto/train/reporter.h"

#include <algorithm>

namespace rialto::train {

Reporter::Reporter(const config::RunConfig& config, const Hooks& hooks, int64_t resumed_iteration)
    : config_(config), hooks_(hooks) {
  fs::path path = config.logger.metrics_jsonl;
  if (path.empty() && !config.checkpoint.save.empty()) path = fs::path(config.checkpoint.save) / "metrics.jsonl";
  if (!path.empty()) metrics_.emplace(hooks.file_ops ? *hooks.file_ops : real_file_ops(), path, resumed_iteration);
}

void Reporter::step(const StepRecord& record) {
  if (metrics_) metrics_->append(to_json(record));
  if (hooks_.on_step) hooks_.on_step(record);
  ++logged_.count;
  logged_.num_skipped += record.skipped ? 1 : 0;
  logged_.elapsed_ms += record.elapsed_ms;
  logged_.flops += record.flops;
  if (!record.skipped) {
    logged_.loss += record.loss;
    for (const auto& [name, loss] : named(record.extra)) logged_.extra[name] += loss;
  }
  if (record.iteration % config_.logger.log_interval != 0) return;
  const auto count = static_cast<double>(logged_.count);
  const auto advanced = static_cast<double>(std::max<int64_t>(1, logged_.count - logged_.num_skipped));
  for (auto& [name, loss] : logged_.extra) loss /= advanced;
  if (hooks_.print) {
    hooks_.print(step_line(record, logged_.loss / advanced, logged_.elapsed_ms / count,
                           logged_.flops / logged_.elapsed_ms / 1e9, config_.train.train_iters, {}, logged_.extra,
                           logged_.num_skipped));
  }
  logged_ = {};
}

void Reporter::evaluation(const EvalRecord& record) {
  if (metrics_) metrics_->append(to_json(record));
  if (hooks_.on_eval) hooks_.on_eval(record);
  if (hooks_.print) hooks_.print(eval_lines(record));
}

void Reporter::sync() {
  if (metrics_) metrics_->sync();
}

}  // namespace rialto::train
