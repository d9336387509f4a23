// Finding and starting rialto-train.
#include "rialto/cli/handover.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/version.h"

namespace rialto::cli {
namespace {

constexpr std::string_view kProgram = "rialto-train";
constexpr TrainCommand kCommands[] = {
    {"train", "Train from a recipe: random weights, a Hugging Face folder or a checkpoint"},
    {"generate", "Generate text from a Hugging Face folder or a checkpoint"},
    {"logits", "Write the logits of given token ids, in fp32, as safetensors"},
};

bool is_program(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::span<const TrainCommand> train_commands() { return kCommands; }

bool is_train_command(std::string_view name) {
  for (const TrainCommand& command : kCommands)
    if (command.name == name) return true;
  return false;
}

std::optional<fs::path> find_rialto_train() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (!error && is_program(self.parent_path() / kProgram)) return self.parent_path() / kProgram;
  const char* path = std::getenv("PATH");
  std::string_view rest = path ? path : "";
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    if (colon > 0 && is_program(fs::path(rest.substr(0, colon)) / kProgram))
      return fs::path(rest.substr(0, colon)) / kProgram;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return {};
}

void hand_over(int argc, const char* const* argv) {
  const std::optional<fs::path> program = find_rialto_train();
  if (!program)
    throw Error(ErrorKind::kUsage, argv[1],
                "this command needs rialto-train, which is neither beside rialto nor in PATH",
                {.hint = "build with LibTorch (./dev build), or install both programs together"});
  ::setenv("RIALTO_BUILD_ID_CHECK", std::string(build_id()).c_str(), 1);
  std::vector<char*> arguments;
  std::string name = program->string();
  arguments.push_back(name.data());
  for (int i = 1; i < argc; ++i) arguments.push_back(const_cast<char*>(argv[i]));  // execv's signature predates const
  arguments.push_back(nullptr);
  ::execv(program->c_str(), arguments.data());
  throw Error(ErrorKind::kIo, program->string(), fmt::format("cannot be started: {}", std::strerror(errno)));
}

}  // namespace rialto::cli
