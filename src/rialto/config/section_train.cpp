// Keys of `train:`: batches, length, what is skipped, when to stop.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/batch_sizes.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

constexpr int64_t kMostBatch = int64_t{1} << 20;

/// The multiples of `unit` around `global`.
std::string batches_near(int64_t global, int64_t unit) {
  const int64_t below = std::max(unit, global / unit * unit);
  return fmt::format("use {} or {}", below, below + unit);
}

/// One micro-batch for every copy of the model: a global batch is a whole number of them.
int64_t unit_of(const RunConfig& config) { return config.train.micro_batch_size * config.data_parallel_size(); }

std::string in_words(const RunConfig& config) {
  const std::string micro = fmt::format("train.micro_batch_size {}", config.train.micro_batch_size);
  const int64_t copies = config.data_parallel_size();
  return copies == 1 ? micro : fmt::format("{} on {} copies of the model", micro, copies);
}

Found whole_micro_batches(const RunConfig& config) {
  const int64_t unit = unit_of(config), global = config.train.global_batch_size;
  if (unit < 1 || global < 1 || global % unit == 0) return {};
  if (config.train.decrease_batch_size_if_needed && global > unit) return {};
  return Finding{"the global batch is not a whole number of micro-batches",
                 {.got = fmt::format("global_batch_size {} with {}", global, in_words(config)),
                  .want = config.data_parallel_size() == 1 ? "a multiple of micro_batch_size"
                                                           : "a multiple of micro_batch_size times data-parallel size",
                  .hint = batches_near(global, unit)}};
}

Found one_length(const RunConfig& config) {
  const TrainSection& train = config.train;
  const int set = (train.train_iters != 0) + train.train_samples.has_value() + train.num_epochs.has_value();
  if (set <= 1) return {};  // none at all is R004's
  return Finding{"the run has more than one length",
                 {.got = fmt::format("{} of them", set), .want = "train_iters, train_samples or num_epochs"}};
}

Found whole_iteration(const RunConfig& config) {
  const auto& samples = config.train.train_samples;
  if (!samples || *samples < 1 || *samples >= config.train.global_batch_size) return {};
  return Finding{"fewer samples than one global batch",
                 {.got = std::to_string(*samples),
                  .want = fmt::format("at least {} (global_batch_size)", config.train.global_batch_size)}};
}

/// True for [start, increment, samples] that Megatron's arithmetic takes.
bool ramps_up(const TrainSection& train) {
  if (train.rampup_batch_size.size() != 3) return false;
  const int64_t start = train.rampup_batch_size[0], increment = train.rampup_batch_size[1];
  return start >= 1 && increment >= 1 && start < train.global_batch_size &&
         (train.global_batch_size - start) % increment == 0 && train.rampup_batch_size[2] >= 1;
}

Found rampup_shape(const RunConfig& config) {
  const TrainSection& train = config.train;
  if (train.rampup_batch_size.empty() || ramps_up(train)) return {};
  return Finding{"not a ramp-up",
                 {.got = fmt::format("[{}] to global_batch_size {}", fmt::join(train.rampup_batch_size, ", "),
                                     train.global_batch_size),
                  .want = "[start, increment, samples]; start below global_batch_size by a multiple of increment"}};
}

Found rampup_micro_batches(const RunConfig& config) {
  const TrainSection& train = config.train;
  const int64_t unit = unit_of(config);
  if (!ramps_up(train) || unit < 1) return {};
  const int64_t start = train.rampup_batch_size[0], increment = train.rampup_batch_size[1];
  const bool whole = start % unit == 0 && increment % unit == 0;
  if (whole || (train.decrease_batch_size_if_needed && start >= unit)) return {};
  return Finding{"a batch of the ramp-up is not a whole number of micro-batches",
                 {.got = fmt::format("start {}, increment {}", start, increment),
                  .want = "multiples of " + in_words(config),
                  .hint = "train.decrease_batch_size_if_needed=true rounds down, from at least one micro-batch"}};
}

Found rampup_length(const RunConfig& config) {
  if (config.train.rampup_batch_size.empty()) return {};
  if (!config.train.train_samples && !config.train.num_epochs) return {};
  return Finding{
      "a ramp-up needs a length in iterations",
      {.got = config.train.train_samples ? "train.train_samples" : "train.num_epochs", .want = "train.train_iters"}};
}

Found skipped_iterations(const RunConfig& config) {
  for (const int64_t iteration : config.train.iterations_to_skip) {
    if (iteration < 0)
      return Finding{"no such iteration", {.got = std::to_string(iteration), .want = "0 (the first) or more"}};
  }
  return {};
}

Found exit_needs_save(const RunConfig& config, bool set) {
  if (!set || !config.checkpoint.save.empty()) return {};
  return Finding{"exiting would lose the run", {.got = "checkpoint.save unset", .want = "checkpoint.save=DIR"}};
}

Found skip_needs_evaluation(const RunConfig& config) {
  if (!config.train.skip_train || evaluates(config)) return {};
  return Finding{"nothing is left to do",
                 {.got = "no evaluation", .want = "validation.eval_interval and validation.eval_iters"}};
}

Found duration(const RunConfig& config) {
  const auto& minutes = config.train.exit_duration_in_mins;
  if (!minutes || (*minutes > 0 && *minutes <= 1e9)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", *minutes), .want = "more than 0 minutes"}};
}

Found epochs(const RunConfig& config) {
  const auto& number = config.train.num_epochs;
  if (!number || (*number > 0 && *number <= 1e6)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", *number), .want = "more than 0, at most 1e6"}};
}

/// Linux numbers of the signals that a program may take as a request to stop.
constexpr int64_t kHangUp = 1, kInterrupt = 2, kQuit = 3, kUser1 = 10, kUser2 = 12, kTerminate = 15;

Found exit_signal(const RunConfig& config) {
  const int64_t signal = config.train.exit_signal;
  for (const int64_t taken : {kHangUp, kInterrupt, kQuit, kUser1, kUser2, kTerminate}) {
    if (signal == taken) return {};
  }
  return Finding{"not a signal that stops a run",
                 {.got = std::to_string(signal), .want = "1, 2, 3, 10, 12 or 15 (HUP, INT, QUIT, USR1, USR2, TERM)"}};
}

Found exit_signal_handled(const RunConfig& config) {
  if (config.train.exit_signal == kTerminate || config.train.exit_signal_handler) return {};
  return Finding{"the signal would not be handled",
                 {.got = "train.exit_signal_handler=false", .want = "train.exit_signal_handler=true"}};
}

std::vector<Field<TrainSection>> train_fields() {
  using T = TrainSection;
  return {
      field_or_default("micro_batch_size", &T::micro_batch_size, "sequences of one forward and backward pass"),
      field_or_default("global_batch_size", &T::global_batch_size, "sequences of one optimizer step"),
      field_or_default("train_iters", &T::train_iters, "length of the run in iterations; 0: another length is set"),
      field("train_samples", &T::train_samples, "length in samples: whole global batches of them"),
      field("num_epochs", &T::num_epochs, "length in passes over the training data"),
      field("rampup_batch_size", &T::rampup_batch_size,
            "[start, increment, samples]: the global batch grows over so many samples; []: it is constant"),
      field("decrease_batch_size_if_needed", &T::decrease_batch_size_if_needed,
            "round a global batch down to whole micro-batches"),
      field("iterations_to_skip", &T::iterations_to_skip,
            "iterations, counted from 0, whose data is passed over untrained"),
      field("skip_train", &T::skip_train, "evaluate only"),
      field("exit_interval", &T::exit_interval, "save and exit at every multiple of this iteration"),
      field("exit_duration_in_mins", &T::exit_duration_in_mins, "save and exit after so many minutes"),
      field("exit_signal_handler", &T::exit_signal_handler,
            "let exit_signal save and stop; SIGTERM, SIGINT and SIGUSR1 always do"),
      field("exit_signal", &T::exit_signal, "number of that signal"),
  };
}

}  // namespace

void add_train_rows(std::vector<KeyRow>& rows) { add_rows(rows, "train", &RunConfig::train, train_fields()); }

void add_train_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  const auto iterations = [](C c) -> std::optional<int64_t> {
    if (c.train.train_iters == 0 && (c.train.train_samples || c.train.num_epochs)) return {};
    return c.train.train_iters;
  };
  rules.push_back(
      integer_rule("R001", "train.micro_batch_size", [](C c) { return c.train.micro_batch_size; }, 1, kMostBatch));
  rules.push_back(
      integer_rule("R002", "train.global_batch_size", [](C c) { return c.train.global_batch_size; }, 1, kMostBatch));
  rules.push_back({"R003", "train.global_batch_size",
                   "a multiple of train.micro_batch_size times the data-parallel size, unless "
                   "train.decrease_batch_size_if_needed",
                   whole_micro_batches});
  rules.push_back(integer_rule("R004", "train.train_iters", iterations, 1, kMostIterations));
  rules.push_back(integer_rule("R005", "train.exit_interval", [](C c) { return c.train.exit_interval; }, 1));
  rules.push_back({"R006", "train.exit_interval", "unset, unless checkpoint.save is set",
                   [](C c) { return exit_needs_save(c, c.train.exit_interval.has_value()); }});
  rules.push_back({"R100", "train.train_iters", "the only one of train_iters, train_samples, num_epochs", one_length});
  rules.push_back(
      integer_rule("R101", "train.train_samples", [](C c) { return c.train.train_samples; }, 1, kMostIterations));
  rules.push_back({"R102", "train.train_samples", "at least train.global_batch_size", whole_iteration});
  rules.push_back({"R103", "train.num_epochs", "more than 0, at most 1e6", epochs});
  rules.push_back({"R104", "train.rampup_batch_size",
                   "[start, increment, samples], all at least 1, start below global_batch_size by a multiple of "
                   "increment",
                   rampup_shape});
  rules.push_back({"R105", "train.rampup_batch_size",
                   "multiples of train.micro_batch_size times the data-parallel size, unless "
                   "train.decrease_batch_size_if_needed",
                   rampup_micro_batches});
  rules.push_back(
      {"R106", "train.rampup_batch_size", "empty with train.train_samples or train.num_epochs", rampup_length});
  rules.push_back({"R107", "train.iterations_to_skip", "0 or more, each", skipped_iterations});
  rules.push_back({"R108", "train.exit_duration_in_mins", "more than 0", duration});
  rules.push_back({"R109", "train.exit_duration_in_mins", "unset, unless checkpoint.save is set",
                   [](C c) { return exit_needs_save(c, c.train.exit_duration_in_mins.has_value()); }});
  rules.push_back({"R110", "train.exit_signal", "1, 2, 3, 10, 12 or 15", exit_signal});
  rules.push_back({"R111", "train.exit_signal", "15, unless train.exit_signal_handler is true", exit_signal_handled});
  rules.push_back({"R112", "train.skip_train", "false, unless the run evaluates", skip_needs_evaluation});
}

}  // namespace rialto::config
