// rialto launch: several local ranks of one training run.
#include <memory>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/version.h"
#include "rialto/cli/command.h"
#include "rialto/cli/handover.h"
#include "rialto/cli/ranks.h"
#include "rialto/cli/train_options.h"

namespace rialto::cli {
namespace {

constexpr int kMostLocalRanks = 1024;

int launch(int num_ranks, std::vector<std::string> command) {
  if (!command.empty() && command.front() == "--") command.erase(command.begin());
  if (command.empty() || command.front() != "train") {
    throw Error(ErrorKind::kUsage, "rialto launch", "it starts `train` and nothing else",
                {.got = command.empty() ? "no command" : fmt::format("'{}'", command.front()),
                 .want = "rialto launch -n N train RECIPE ..."});
  }
  if (num_ranks < 1 || num_ranks > kMostLocalRanks) {
    throw Error(ErrorKind::kUsage, "rialto launch", "number of ranks out of range",
                {.got = std::to_string(num_ranks), .want = fmt::format("1 to {}", kMostLocalRanks)});
  }
  std::vector<const char*> words{"rialto"};
  for (const std::string& word : command) words.push_back(word.c_str());
  if (const int code = refuse_bad_run(static_cast<int>(words.size()), words.data(), num_ranks)) return code;
  const auto program = find_rialto_train();
  if (!program) {
    throw Error(ErrorKind::kUsage, "rialto launch", "needs rialto-train, which is neither beside rialto nor in PATH",
                {.hint = "build with LibTorch (./dev build), or install both programs together"});
  }
  return run_ranks({.program = *program,
                    .arguments = std::move(command),
                    .num_ranks = num_ranks,
                    .environment = {fmt::format("RIALTO_BUILD_ID_CHECK={}", build_id())}});
}

}  // namespace

void add_launch(CLI::App& app, Context& context) {
  struct Options {
    int num_ranks = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("launch", "Train in several processes of this machine, data and tensor parallel");
  command
      ->add_option("-n,--num-ranks", options->num_ranks,
                   "processes to start: tensor parallel size x copies of the model")
      ->required();
  command->prefix_command();  // the rest is rialto-train's
  command->footer(R"(Example: rialto launch -n 4 train quickstart dataset.data_path=[data/train] train.train_iters=100
Each copy of the model takes its share of the global batch. SIGTERM, SIGINT and SIGUSR1 are passed on to every rank,
once. When one rank fails, the others are ended, and its message and exit code are the command's.)");
  command->callback([command, options, &context] {
    context.action = [command, options] { return launch(options->num_ranks, command->remaining()); };
  });
}

}  // namespace rialto::cli
