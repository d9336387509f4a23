// What every command of `rialto` gets, and how it is added to the program.
#pragma once

#include <functional>
#include <memory>

#include <CLI/CLI.hpp>

#include "rialto/base/file_ops.h"
#include "rialto/base/json.h"
#include "rialto/base/terminal_progress.h"

namespace rialto::cli {

/// Shared by the commands of one run.
struct Context {
  FileOps* ops = nullptr;
  Progress* progress = nullptr;
  std::function<void()> hand_over;  ///< to rialto-train with the same arguments; does not return
  std::function<int()> action;      ///< set by the command that was chosen; returns the exit code
};

/// Prints `json` on stdout when `as_json`, else `text`.
void print_report(bool as_json, const Json& json, const std::string& text);

void add_convert(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_models(CLI::App& app, Context& context);
void add_data(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);
void add_plan(CLI::App& app, Context& context);
void add_report(CLI::App& app, Context& context);
void add_runs(CLI::App& app, Context& context);
void add_launch(CLI::App& app, Context& context);
void add_recipes(CLI::App& app, Context& context);

/// The whole program; returns its exit code. Errors are printed as one line on stderr.
int run(int argc, const char* const* argv);

}  // namespace rialto::cli
