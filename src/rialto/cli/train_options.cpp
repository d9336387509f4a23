// Options of `train`, and the check before the hand-over.
#include "rialto/cli/train_options.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/cli/run_check.h"

namespace rialto::cli {

const char* const kOverrideHelp =
    R"(Overrides, which win over --set, which wins over --config, which wins over the recipe:
  train.train_iters=100        the key gets this value; null, true, 3, 1e-5, [a, b], {a: 1}, "text"
  +train.exit_interval=50      only when the key has no value yet
  ++train.exit_interval=50     whether it has one or not
  ~validation.eval_interval    back to its default; ~validation the whole section)";

void add_common(CLI::App& command, Common& common) {
  command.add_flag("--json", common.json, "print one JSON object instead of text");
  command.add_option("--threads", common.threads, "CPU threads (default: all CPUs of this process)");
  command.add_option("--device", common.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
}

void add_sources(CLI::App& command, config::ConfigSources& sources, bool required) {
  command.add_option("recipe", sources.base, "YAML file, or the name of a built-in recipe")->required(required);
  command.add_option("overrides", sources.overrides, "section.key=value, +..., ++..., ~section.key");
  command.add_option("--config", sources.files, "YAML file laid over the recipe; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--set", sources.settings, "section.key=value; may be repeated")->allow_extra_args(false);
}

void add_train_options(CLI::App& command, TrainOptions& options) {
  add_sources(command, options.sources, true);
  command.add_option("--export-hf", options.export_hf, "write the finished model as a Hugging Face folder");
  add_common(command, options.common);
}

int refuse_bad_run(int argc, const char* const* argv, int64_t world_size) {
  CLI::App app;
  TrainOptions options;
  add_train_options(*app.add_subcommand("train"), options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError&) {
    return 0;
  }
  const std::vector<config::Problem> problems = check_run(options.sources, world_size);
  for (const config::Problem& problem : problems) fmt::print(stderr, "error: {}\n", problem.line);
  return problems.empty() ? 0 : exit_code(ErrorKind::kConfig);
}

}  // namespace rialto::cli
