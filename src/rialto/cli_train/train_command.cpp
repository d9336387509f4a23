// rialto-train train RECIPE: the loop, and the export at its end.
#include <ATen/Context.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/terminal_progress.h"
#include "rialto/cli_train/command.h"
#include "rialto/convert/convert.h"
#include "rialto/spec/place.h"
#include "rialto/train/setup.h"
#include "rialto/train/train.h"

namespace rialto::cli_train {
namespace {

using Options = cli::TrainOptions;

/// Refused before the first step rather than after the last.
void check_export(const Options& options, const config::RunConfig& config) {
  if (options.export_hf.empty()) return;
  if (config.checkpoint.save.empty()) {
    throw Error(ErrorKind::kConfig, "--export-hf", "exports the last checkpoint, but checkpoint.save is not set");
  }
  const fs::path folder = options.export_hf;
  if (fs::exists(folder) && (!fs::is_directory(folder) || !fs::is_empty(folder))) {
    throw Error(ErrorKind::kConfig, folder.string(), "the destination is not empty");
  }
}

/// LibTorch keeps this for the whole process, so the program decides it and the library does not. cuBLAS reads its
/// workspace size when it starts: that is later.
void apply_determinism(const config::RunConfig& config) {
  if (!config.model.deterministic_mode) return;
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

void print_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

/// A bar of the whole run below its lines. Not for anything but a terminal.
class TrainingBar {
 public:
  /// `train_iters`: 0 when the run is as long as its samples or epochs.
  explicit TrainingBar(int64_t train_iters) : train_iters_(train_iters) {}
  void step(int64_t iteration) {
    if (first_ == 0) {  // the first iteration, which is slower, does not count
      first_ = iteration;
      bar_.begin("training", static_cast<uint64_t>(std::max<int64_t>(0, train_iters_ - iteration)), "iterations");
    }
    bar_.update(static_cast<uint64_t>(std::max<int64_t>(0, iteration - first_)));
  }
  void hide() { bar_.hide(); }

 private:
  int64_t train_iters_, first_ = 0;
  TerminalProgress bar_;
};
/// Meets the other processes of the run. On GPUs each has its own: the one of its local number.
void join(train::Hooks& hooks, const spec::Place& place, const config::RunConfig& config) {
  if (hooks.device == "cuda" || (hooks.device == "auto" && train::parse_device("auto").is_cuda()))
    hooks.device = fmt::format("cuda:{}", place.local_rank);
  hooks.world = comm::World::connect(place, {.device = train::parse_device(hooks.device),
                                             .timeout = std::chrono::minutes(config.dist.distributed_timeout_minutes)});
}

int exit_code_of(const train::Result& result, const config::RunConfig& config) {
  if (result.end != train::End::kStopped) return 0;
  if (config.checkpoint.save.empty()) {
    throw Error(ErrorKind::kInternal, fmt::format("iteration {}", result.iteration),
                "stopped on request, and nothing was saved: checkpoint.save is not set");
  }
  return final_code(exit_code(ErrorKind::kStopped));
}

int run(const Options& options) {
  const spec::Place place = spec::find_place([](const char* name) { return std::getenv(name); });
  apply(options.common, place.local_world > 1 ? 1 : 0);
  if (place.world > 1) end_with_launcher();
  config::RunConfig config = config::read_run_config(options.sources);
  config.world_size = place.world;
  config::check_rules(config);
  check_export(options, config);
  apply_determinism(config);
  const config::TrainSection& section = config.train;
  install_stop_handlers(section.exit_signal_handler ? static_cast<int>(section.exit_signal) : SIGTERM);
  const auto progress = terminal_progress();
  train::Hooks hooks;
  if (place.rank == 0) hooks.progress = progress.get();
  hooks.file_ops = &file_ops();
  hooks.device = options.common.device;
  if (place.world > 1) join(hooks, place, config);
  hooks.stop_requested = stop_requested;
  std::optional<TrainingBar> bar;
  if (hooks.writes() && !options.common.json && isatty(STDERR_FILENO)) bar.emplace(config.train.train_iters);
  hooks.on_train_step_end = [&bar](const train::StepRecord& record) {
    if (bar) bar->step(record.iteration);
  };
  if (!options.common.json && hooks.writes()) {
    hooks.print = [&bar](std::string_view line) {
      if (bar) bar->hide();
      print_line(line);
    };
  }
  const train::Result result = train::train(config, hooks);
  bar.reset();

  if (!hooks.writes()) return exit_code_of(result, config);
  Json report = train::to_json(result);
  if (!options.export_hf.empty() && result.end == train::End::kFinished) {
    convert::ConvertOptions conversion;
    conversion.source = *result.checkpoint;
    conversion.destination = options.export_hf;
    conversion.to = convert::Target::kHf;
    const convert::ConvertReport converted = convert::convert(conversion, file_ops(), progress.get());
    report["export"] = convert::to_json(converted);
    if (!options.common.json) print_line(convert::to_text(converted));
  }
  if (options.common.json) {
    print_line(report.dump());
  } else if (result.checkpoint) {
    print_line(fmt::format("{} at iteration {}; checkpoint: {}",
                           result.end == train::End::kFinished ? "finished" : "stopped", result.iteration,
                           result.checkpoint->string()));
  }
  return exit_code_of(result, config);
}

}  // namespace

Run add_train(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("train", "Pretrain or go on training: random weights, a Hugging Face folder or a checkpoint");
  cli::add_train_options(*command, *options);
  command->footer([] {
    return std::string(cli::kOverrideHelp) + "\n\nKeys:\n" + config::describe_run_config() +
           "\nThe first Ctrl-C, SIGTERM or SIGUSR1 saves and stops (exit 75: start the same command again to go on), "
           "the "
           "second kills.";
  });
  return [options] { return run(*options); };
}

}  // namespace rialto::cli_train
