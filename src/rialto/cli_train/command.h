// What the commands of rialto-train share: options, environment, output.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "rialto/base/dtype.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/progress.h"
#include "rialto/cli/train_options.h"

namespace rialto::cli_train {

using cli::add_common;
using cli::Common;
/// Applies --threads; unset: OMP_NUM_THREADS when `usual` is given, which is what it is then if that is unset too; else
/// all CPUs of this process. Throws kUsage.
void apply(const Common& common, int usual = 0);

/// "fp32", "bf16" or empty. Throws kUsage.
std::optional<DType> parse_dtype(const std::string& name);

/// A command: registers itself; `run` is called when it was chosen and returns the exit code.
using Run = std::function<int()>;
Run add_train(CLI::App& app);
Run add_generate(CLI::App& app);
Run add_logits(CLI::App& app);
Run add_verify(CLI::App& app);

/// The operating system's file operations, wrapped by what RIALTO_TEST_FAULT asks for.
FileOps& file_ops();

/// Progress on standard error: a bar after two seconds on a terminal, notices always, nothing else otherwise.
std::unique_ptr<Progress> terminal_progress();

/// Installs handlers: the first SIGINT, SIGTERM, SIGUSR1 or `extra_signal` sets the flag that stop_requested() reads,
/// the next of the same kind has its ordinary effect: it kills.
void install_stop_handlers(int extra_signal);
bool stop_requested();

/// As a rank of `rialto launch`, which sets RIALTO_LAUNCHER_PID: ends this process when that one is killed.
void end_with_launcher();

/// 75 (stopped on request) becomes 0 under torchrun, which takes any other code for a crash and starts the ranks again.
int final_code(int code);

}  // namespace rialto::cli_train
