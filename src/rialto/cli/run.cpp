// Parsing the command line, running the chosen command, and turning what goes wrong into one line and an exit code.
#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/version.h"
#include "rialto/cli/command.h"
#include "rialto/cli/handover.h"
#include "rialto/cli/train_options.h"
#include "rialto/spec/place.h"

namespace rialto::cli {
namespace {

std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

/// The first Ctrl-C asks the command to stop, which leaves nothing half-written; the second ends the process.
extern "C" void on_interrupt(int signal) {
  stop_requested = true;
  std::signal(signal, SIG_DFL);
}

int print_error(std::string_view line, int code) {
  fmt::print(stderr, "error: {}\n", line);
  return code;
}

constexpr const char* kFooter = R"(Examples:
  rialto convert hf/Llama-3.2-1B llama-megatron            Hugging Face -> Megatron
  rialto convert llama-megatron llama-hf                   and back, byte for byte
  rialto verify hf/Llama-3.2-1B llama-megatron             prove that both are the same
  rialto inspect llama-megatron                            what is in there
  rialto COMMAND --help                                    every option of a command

Exit codes: 0 done; 1 failed; 2 refused before anything started; 3 damaged or incomplete input; 4 a check found something.)";

void describe(CLI::App& app) {
  app.description("Takes a Hugging Face model to Megatron and back, and trains it in between.");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", fmt::format("rialto {} (build {})", version(), build_id()));
  app.set_help_flag("-h,--help", "Say what a command does and what it takes");
  app.get_formatter()->column_width(34);
}

/// CLI11 would say only that a command is missing.
void refuse_unknown_command(const CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  if (std::find(known.begin(), known.end(), argv[1]) != known.end()) return;
  const std::string near = nearest(argv[1], known);
  throw Error(ErrorKind::kUsage, "rialto", fmt::format("no command '{}'", argv[1]),
              {.hint = near.empty() ? "rialto --help" : fmt::format("did you mean '{}'?", near)});
}

int parse_and_run(int argc, const char* const* argv) {
  if (argc > 1 && is_train_command(argv[1])) {
    if (argv[1] == std::string_view("train")) {
      const spec::Place place = spec::find_place([](const char* name) { return std::getenv(name); });
      if (const int code = refuse_bad_run(argc, argv, place.world)) return code;
    }
    hand_over(argc, argv);
  }
  Context context;
  std::unique_ptr<FileOps> faulty;
  context.ops = &real_file_ops();
  context.hand_over = [argc, argv] { hand_over(argc, argv); };
  if (const char* fault = std::getenv("RIALTO_TEST_FAULT"); fault && *fault) {
    faulty = faulty_file_ops(real_file_ops(), fault);
    context.ops = faulty.get();
  }
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  TerminalProgress progress(&stop_requested);
  context.progress = &progress;

  CLI::App app{"", "rialto"};
  describe(app);
  add_convert(app, context);
  add_verify(app, context);
  add_inspect(app, context);
  add_models(app, context);
  add_data(app, context);
  add_config(app, context);
  add_plan(app, context);
  add_report(app, context);
  add_runs(app, context);
  add_recipes(app, context);
  if (find_rialto_train()) {
    for (const TrainCommand& command : train_commands())
      app.add_subcommand(std::string(command.name), std::string(command.help));
    add_launch(app, context);
  }
  refuse_unknown_command(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::string where = "rialto";
    for (const CLI::App* command : app.get_subcommands()) where = "rialto " + command->get_name();
    throw Error(ErrorKind::kUsage, where, error.what(), {.hint = fmt::format("{} --help", where)});
  }
  return context.action ? context.action() : 0;
}

}  // namespace

void print_report(bool as_json, const Json& json, const std::string& text) {
  fmt::print("{}", as_json ? to_python_json(json) + "\n" : text);
  std::fflush(stdout);
}

int run(int argc, const char* const* argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kStopped || !stop_requested)
      return print_error(error.what(), exit_code(error.kind()));
    // Stopped by a signal with nothing half-written: end as the shell expects of an interrupted program.
    print_error(error.what(), 1);
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
    return 130;
  } catch (const std::bad_alloc&) {
    return print_error("out of memory", 1);
  } catch (const std::exception& error) {
    return print_error(error.what(), 1);
  }
}

}  // namespace rialto::cli
