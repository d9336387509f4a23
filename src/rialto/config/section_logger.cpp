// Keys of `logger:` and `rng:`: what a run prints and records, and its seed.
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using L = LoggerSection;

std::vector<Field<L>> line_rows() {
  return {
      field("log_interval", &L::log_interval, "iterations between step lines"),
      field("metrics_jsonl", &L::metrics_jsonl, "file with one JSON record per iteration; unset: SAVE/metrics.jsonl"),
      field("log_throughput", &L::log_throughput, "TFLOP/s per device in the step line, as Megatron counts them"),
      field_or_default("sample_tokens", &L::sample_tokens,
                       "tokens that the model writes after the beginning of a held-out sample at every evaluation, for "
                       "metrics and report; 0: none"),
      field("log_params_norm", &L::log_params_norm, "norm of the weights in the step line and the records"),
      field("peak_tflops_per_device", &L::peak_tflops_per_device,
            "what a device can do, to record model FLOPs utilization; unset: known for some GPUs"),
      field("timing_log_level", &L::timing_log_level,
            "timers behind the step line: 0 none, 1 phases of an iteration, 2 forward and backward apart"),
      field("timing_log_option", &L::timing_log_option, "minmax, max or all: of the timers over the ranks"),
      field("save_config_filepath", &L::save_config_filepath, "file that gets the resolved configuration as YAML"),
  };
}

std::vector<Field<L>> tensorboard_rows() {
  return {
      field("tensorboard_dir", &L::tensorboard_dir, "folder of TensorBoard event files; unset: none"),
      field("tensorboard_log_interval", &L::tensorboard_log_interval, "iterations between events"),
      field("tensorboard_queue_size", &L::tensorboard_queue_size, "events that wait before they are written"),
      field("throughput_window_size", &L::throughput_window_size, "iterations that throughput/* is a mean of"),
      field("log_throughput_to_tensorboard", &L::log_throughput_to_tensorboard, "adds throughput/*"),
      field("log_timers_to_tensorboard", &L::log_timers_to_tensorboard, "adds iteration-time and <timer>-time"),
      field("log_loss_scale_to_tensorboard", &L::log_loss_scale_to_tensorboard, "adds loss-scale"),
      field("log_validation_ppl_to_tensorboard", &L::log_validation_ppl_to_tensorboard, "adds validation perplexity"),
      field("log_memory_to_tensorboard", &L::log_memory_to_tensorboard, "adds memory/*"),
      field("log_l2_norm_grad_to_tensorboard", &L::log_l2_norm_grad_to_tensorboard,
            "adds l2_norm/grad/* of every parameter"),
      field("log_runtime_to_tensorboard", &L::log_runtime_to_tensorboard, "adds time/*"),
      field("runtime_time_unit", &L::runtime_time_unit, "of time/*: seconds, minutes, hours or days"),
      field("log_world_size_to_tensorboard", &L::log_world_size_to_tensorboard, "adds world-size"),
  };
}

}  // namespace

void add_logger_rows(std::vector<KeyRow>& rows) {
  add_rows<L>(rows, "logger", &RunConfig::logger, line_rows());
  add_rows<L>(rows, "logger", &RunConfig::logger, tensorboard_rows());
  add_rows<RngSection>(rows, "rng", &RunConfig::rng, {field("seed", &RngSection::seed, "seed of random weights")});
}

void add_logger_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(integer_rule("R081", "logger.log_interval", [](C c) { return c.logger.log_interval; }, 1));
  rules.push_back(integer_rule("R400", "logger.timing_log_level", [](C c) { return c.logger.timing_log_level; }, 0, 2));
  rules.push_back(name_rule("R401", "logger.timing_log_option", [](C c) { return c.logger.timing_log_option; },
                            {"minmax", "max", "all"}));
  rules.push_back(integer_rule(
      "R402", "logger.tensorboard_log_interval", [](C c) { return c.logger.tensorboard_log_interval; }, 1));
  rules.push_back(
      integer_rule("R403", "logger.tensorboard_queue_size", [](C c) { return c.logger.tensorboard_queue_size; }, 1));
  rules.push_back(integer_rule(
      "R404", "logger.throughput_window_size", [](C c) { return c.logger.throughput_window_size; }, 1, 1 << 20));
  rules.push_back(name_rule("R405", "logger.runtime_time_unit", [](C c) { return c.logger.runtime_time_unit; },
                            {"seconds", "minutes", "hours", "days"}));
  rules.push_back(number_rule(
      "R406", "logger.peak_tflops_per_device", [](C c) { return c.logger.peak_tflops_per_device.value_or(1); }, 1e-3,
      1e6));
  rules.push_back(integer_rule("R407", "logger.sample_tokens", [](C c) { return c.logger.sample_tokens; }, 0, 65536));
}

}  // namespace rialto::config
