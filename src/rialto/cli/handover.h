// Commands that need LibTorch belong to `rialto-train`; users type `rialto` for both.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::cli {

/// A command of rialto-train with one line of help.
struct TrainCommand {
  std::string_view name, help;
};
std::span<const TrainCommand> train_commands();
bool is_train_command(std::string_view name);

/// rialto-train beside this program, else in PATH.
std::optional<fs::path> find_rialto_train();

/// Replaces this process by rialto-train with the same arguments. RIALTO_BUILD_ID_CHECK tells it what this program was
/// built from; it refuses another id. Throws kUsage when there is none, kIo when it cannot be started.
[[noreturn]] void hand_over(int argc, const char* const* argv);

}  // namespace rialto::cli
