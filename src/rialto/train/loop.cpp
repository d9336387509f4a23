// The training loop.
#include "rialto/train/loop.h"

#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/train/evaluate.h"

namespace rialto::train {
namespace {

bool due(const std::optional<int64_t>& interval, int64_t iteration) { return interval && iteration % *interval == 0; }

}  // namespace

Loop::Loop(const config::RunConfig& config, const Hooks& hooks)
    : config_(config), hooks_(hooks), setup_(set_up(config, hooks)), saver_(config, hooks, setup_) {
  result_.first_iteration = result_.iteration = setup_.state.iteration;
  result_.num_parameters = spec::num_parameters(setup_.model_spec);
}

Result Loop::run() {
  const auto start = std::chrono::steady_clock::now();
  reporter_.emplace(config_, hooks_, setup_.state.iteration);
  result_.metrics = reporter_->metrics_path();
  const int64_t last = config_.train.train_iters;
  // A new run's first evaluation shows where it starts from; a resumed run's was made before it was saved.
  if (config_.validation.eval_interval && setup_.state.iteration == 0 && !setup_.resumed_from) evaluate_now(false);
  while (setup_.state.iteration < last && result_.end == End::kFinished) {
    iterate();
    const int64_t now = setup_.state.iteration;
    if (due(config_.validation.eval_interval, now) && now < last) evaluate_now(false);
    if (const auto reason = reason_to_stop()) result_.end = *reason;
    if (now == last && config_.validation.eval_interval) evaluate_now(true);
    if (due(config_.checkpoint.save_interval, now) || now == last || result_.end != End::kFinished) {
      reporter_->sync();  // records of a saved iteration are on disk before it is
      saver_.save();
    }
  }
  reporter_->sync();
  result_.checkpoint = saver_.newest();
  result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result_;
}

void Loop::iterate() {
  const auto [record, done] = run_training_iteration(config_, setup_);
  if (!done) stop_not_finite(record);
  result_.iteration = record.iteration;
  result_.last_loss = record.loss;
  reporter_->step(record);
}

void Loop::evaluate_now(bool at_end) {
  EvalRecord record = evaluate(*setup_.model, *setup_.valid_data, config_, setup_.model_spec.vocab, setup_.device,
                               setup_.state.iteration);
  record.at_end = at_end;
  setup_.state.consumed_valid_samples += config_.validation.eval_iters * config_.train.global_batch_size;
  result_.last_eval_loss = record.loss;
  reporter_->evaluation(record);
}

std::optional<End> Loop::reason_to_stop() const {
  const int64_t now = setup_.state.iteration;
  if (now >= config_.train.train_iters) return {};
  if (hooks_.stop_requested && hooks_.stop_requested()) return End::kStopped;
  if (due(config_.train.exit_interval, now)) return End::kExitInterval;
  return {};
}

void Loop::stop_not_finite(const StepRecord& record) {
  const bool loss = !std::isfinite(record.loss);
  std::string saved = "nothing was saved: checkpoint.save is not set";
  reporter_->sync();
  if (!config_.checkpoint.save.empty()) {
    if (weights_finite(setup_)) {
      saver_.save();
      saved = "the state before this iteration is in " + saver_.newest()->string();
    } else {
      saved = "the weights are not finite either" +
              (saver_.newest() ? "; the newest good checkpoint is " + saver_.newest()->string() : std::string());
    }
  }
  throw Error(
      ErrorKind::kInternal, fmt::format("iteration {}", record.iteration),
      loss ? "the loss is not finite" : "the gradient's norm is not finite",
      {.got = std::isnan(loss ? record.loss : record.grad_norm) ? "nan" : "infinity", .want = {}, .hint = saved});
}

}  // namespace rialto::train
