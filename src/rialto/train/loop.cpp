// The training loop.
#include "rialto/train/loop.h"

#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/batch_sizes.h"
#include "rialto/train/evaluate.h"

namespace rialto::train {
namespace {

bool due(const std::optional<int64_t>& interval, int64_t iteration) { return interval && iteration % *interval == 0; }

}  // namespace

Loop::Loop(const config::RunConfig& config, const Hooks& hooks)
    : hooks_(hooks),
      setup_(set_up(config, hooks)),
      config_(setup_.config),
      saver_(config, hooks, setup_),
      profiler_(config_, setup_.device, hooks.file_ops ? *hooks.file_ops : real_file_ops()) {
  result_.first_iteration = result_.iteration = setup_.state.iteration;
  result_.num_parameters = spec::num_parameters(setup_.model_spec);
}

double Loop::minutes() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count() / 60;
}

Result Loop::run() {
  reporter_.emplace(config_, hooks_, setup_.state, setup_.device);
  result_.metrics = reporter_->metrics_path();
  if (config_.logger.sample_tokens > 0 && config::evaluates(config_) && hooks_.writes()) samples_.emplace(setup_);
  try {
    const bool goes_on = setup_.state.iteration < config_.train.train_iters;
    if (config_.train.skip_train) {
      if (hooks_.print) hooks_.print("skipping training (--skip-train is on) ...");
      evaluate_at_end();
    } else if (goes_on) {
      train();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kComm) throw;
    throw Error(ErrorKind::kComm, fmt::format("iteration {}", result_.iteration), error.what());
  }
  profiler_.finish(setup_.state.iteration);
  reporter_->sync();
  result_.checkpoint = saver_.newest();
  result_.seconds = minutes() * 60;
  return result_;
}

void Loop::train() {
  const int64_t last = config_.train.train_iters;
  // A new run's first evaluation shows where it starts from; a resumed run's was made before it was saved.
  if (!setup_.resumed_from && evaluation_due()) evaluate_now(EvalPart::kValidation);
  if (hooks_.on_train_start) hooks_.on_train_start(setup_.state.iteration);
  while (setup_.state.iteration < last && result_.end == End::kFinished) {
    const int64_t batch = running_batch(setup_);
    if (!iterate()) continue;
    const int64_t now = setup_.state.iteration;
    if (now == last) break;
    if (evaluation_due()) evaluate_now(EvalPart::kValidation);
    if (const auto reason = reason_to_stop()) result_.end = *reason;
    const bool grows = running_batch(setup_) != batch;
    if (due(config_.checkpoint.save_interval, now) || grows || result_.end != End::kFinished) save();
  }
  if (hooks_.on_train_end) hooks_.on_train_end(setup_.state.iteration);
  if (setup_.state.iteration < last) return;
  evaluate_at_end();
  save();
}

bool Loop::iterate() {
  result_.iteration = setup_.state.iteration + 1;
  if (is_left_out(setup_)) {
    reporter_->left_out(leave_out_iteration(setup_));
    return true;
  }
  if (hooks_.on_train_step_start) hooks_.on_train_step_start(setup_.state.iteration + 1);
  profiler_.before(setup_.state.iteration);
  IterationOutcome outcome = run_training_iteration(setup_, hooks_.forward_step);
  profiler_.after(setup_.state.iteration + 1);
  if (outcome.trouble) return resolve(outcome);
  finish_iteration(setup_, outcome);
  result_.last_loss = outcome.record.loss;
  reporter_->step(outcome.record, setup_);
  return true;
}

bool Loop::resolve(IterationOutcome& outcome) {
  const config::ResilienceSection& section = config_.resilience;
  const std::string what = describe(*outcome.trouble, section, setup_.state.recent_losses);
  const Remedy chosen = remedy(section, *outcome.trouble);
  if (chosen == Remedy::kStop) stop_at(outcome.record, what);
  if (setup_.state.skipped_iterations >= section.max_skipped_iterations) {
    stop_at(outcome.record, what,
            fmt::format("resilience.max_skipped_iterations={} is reached", section.max_skipped_iterations));
  }
  if (chosen == Remedy::kRewind) {
    if (!saver_.newest()) stop_at(outcome.record, what, "there is no checkpoint to go back to yet");
    if (hooks_.print) {
      hooks_.print(fmt::format("iteration {}: {}; going back to {} and leaving its data out", outcome.record.iteration,
                               what, saver_.newest()->filename().string()));
    }
    rewind(setup_.state.iteration);
    return false;
  }
  if (hooks_.print) hooks_.print(fmt::format("iteration {}: {}; skipped", outcome.record.iteration, what));
  finish_iteration(setup_, outcome);
  ++setup_.state.skipped_iterations;
  reporter_->step(outcome.record, setup_);
  return true;
}

void Loop::rewind(int64_t failed_iteration) {
  std::vector<int64_t> left_out = std::move(setup_.state.iterations_left_out);
  left_out.push_back(failed_iteration);
  const int64_t skipped = setup_.state.skipped_iterations + 1;
  load_run_state(*saver_.newest(), setup_, hooks_.progress);
  setup_.state.iterations_left_out = std::move(left_out);
  setup_.state.skipped_iterations = skipped;
  reporter_.emplace(config_, hooks_, setup_.state, setup_.device);
}

bool Loop::evaluation_due() const {
  const int64_t now = setup_.state.iteration;
  return config::evaluates(config_) && due(config_.validation.eval_interval, now) &&
         now >= config_.validation.start_eval_at_iter.value_or(0);
}

void Loop::evaluate_now(EvalPart part) {
  const Phases::Scope scope(&setup_.phases, Phase::kEvaluate);
  const EvalRecord record = evaluate(setup_, hooks_, part);
  if (part == EvalPart::kTest) {
    result_.test_loss = record.loss;
  } else {
    setup_.state.consumed_valid_samples += record.num_samples;
    result_.last_eval_loss = record.loss;
  }
  reporter_->evaluation(record);
  if (samples_ && part != EvalPart::kTest) reporter_->sample(samples_->write());
}

void Loop::evaluate_at_end() {
  if (setup_.valid_data) evaluate_now(EvalPart::kValidationAtEnd);
  if (setup_.test_data) evaluate_now(EvalPart::kTest);
}

std::optional<End> Loop::reason_to_stop() const {
  const int64_t now = setup_.state.iteration;
  const auto stop = [&](End end, const std::string& why) {
    if (hooks_.print) hooks_.print(exit_line(why));
    return end;
  };
  // A signal may have come to one rank, or to all at different iterations, and clocks differ.
  const auto any = [&](bool mine) { return comm::any(mine, setup_.mesh); };
  if (any(hooks_.stop_requested && hooks_.stop_requested())) return stop(End::kStopped, "on request");
  if (const auto limit = config_.train.exit_duration_in_mins; limit && any(minutes() > *limit))
    return stop(End::kExitDuration, fmt::format("after {} minutes", *limit));
  if (due(config_.train.exit_interval, now)) return stop(End::kExitInterval, fmt::format("at iteration {}", now));
  return {};
}

void Loop::save() {
  reporter_->sync();  // records of a saved iteration are on disk before it is
  const Phases::Scope scope(&setup_.phases, Phase::kSave);
  saver_.save();
}

void Loop::stop_at(const StepRecord& record, const std::string& what, const std::string& why) {
  std::string hint = why.empty() ? "" : why + "; ";
  reporter_->sync();
  if (config_.checkpoint.save.empty()) {
    hint += "nothing was saved: checkpoint.save is not set";
  } else if (weights_finite(setup_)) {
    saver_.save();
    hint += "the state before this iteration is in " + saver_.newest()->string();
  } else {
    hint += "the weights are not finite either";
    if (saver_.newest()) hint += "; the newest good checkpoint is " + saver_.newest()->string();
  }
  const double got = std::isfinite(record.loss) && !std::isfinite(record.grad_norm) ? record.grad_norm : record.loss;
  throw Error(ErrorKind::kInternal, fmt::format("iteration {}", record.iteration), what,
              {.got = std::isnan(got)   ? "nan"
                      : std::isinf(got) ? "infinity"
                                        : fmt::format("{:.6g}", got),
               .want = {},
               .hint = hint});
}

}  // namespace rialto::train
