// The command line of `train`, and where a configuration comes from: `rialto` checks it before it hands over, and
// rialto-train acts on it, so both parse it here.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "rialto/config/run_config.h"

namespace rialto::cli {

/// Options that every command of rialto-train has.
struct Common {
  bool json = false;
  int threads = 0;  ///< 0: as many as the CPUs of this process
  std::string device = "auto";
};
void add_common(CLI::App& command, Common& common);

/// A recipe, --config, --set, and overrides as words of their own.
void add_sources(CLI::App& command, config::ConfigSources& sources, bool required);
/// Help for the grammar of overrides.
extern const char* const kOverrideHelp;

struct TrainOptions {
  Common common;
  config::ConfigSources sources;
  std::string export_hf;
};
void add_train_options(CLI::App& command, TrainOptions& options);

/// Checks the configuration of a `train` command line before anything is started. Prints one line for each mistake on
/// stderr and returns the exit code, 0 when there is none. A command line that does not parse (or asks for help) is
/// left to rialto-train. `world_size`: processes that the run will have. Throws kConfig when a file cannot be read at
/// all.
int refuse_bad_run(int argc, const char* const* argv, int64_t world_size);

}  // namespace rialto::cli
