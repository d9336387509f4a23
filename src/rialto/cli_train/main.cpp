// rialto-train: the commands that compute. `rialto` hands over to it by exec, and both check that they are of one
// build.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/version.h"
#include "rialto/cli_train/command.h"
#include "rialto/kernels/host_blocks.h"

namespace {

using namespace rialto;

void check_build_id() {
  const char* theirs = std::getenv("RIALTO_BUILD_ID_CHECK");
  if (theirs != nullptr && theirs != build_id()) {
    throw Error(ErrorKind::kInternal, "rialto-train", "rialto and rialto-train are of different builds",
                {.got = std::string(build_id()), .want = theirs, .hint = "build or install both together"});
  }
}

/// The kernels are compiled for AVX2; less would end them with an illegal instruction.
void check_processor() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    throw Error(ErrorKind::kConfig, "rialto-train", "this processor lacks AVX2 and FMA",
                {.want = "x86-64-v3 or newer"});
#endif
}

int run(int argc, char** argv) {
  CLI::App app("Rialto's computing commands. `rialto` is the one to call; it hands over to this program.",
               "rialto-train");
  app.set_version_flag("--version", fmt::format("rialto-train {}", version()));
  bool show_build_id = false;
  app.add_flag("--build-id", show_build_id, "print the id that rialto compares with its own");
  app.require_subcommand(0, 1);
  const std::pair<const char*, cli_train::Run> commands[] = {{"train", cli_train::add_train(app)},
                                                             {"generate", cli_train::add_generate(app)},
                                                             {"logits", cli_train::add_logits(app)},
                                                             {"verify", cli_train::add_verify(app)}};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help, version
    throw Error(ErrorKind::kUsage, "command line", error.what(),
                {.got = {}, .want = {}, .hint = "--help lists the options"});
  }
  check_build_id();
  check_processor();
  if (show_build_id) {
    std::puts(std::string(build_id()).c_str());
    return 0;
  }
  for (const auto& [name, command] : commands) {
    if (app.got_subcommand(name)) return command();
  }
  std::fputs(app.help().c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    kernels::use_host_blocks();
    return run(argc, argv);
  } catch (const Error& error) {
    std::fputs(fmt::format("error: {}\n", error.what()).c_str(), stderr);
    return cli_train::final_code(exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("error: {}\n", error.what()).c_str(), stderr);
  }
  return exit_code(ErrorKind::kInternal);
}
