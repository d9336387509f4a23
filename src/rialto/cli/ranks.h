// Local processes that form one run: started together, watched, ended together.
#pragma once

#include <string>
#include <vector>

#include "rialto/base/file_ops.h"

namespace rialto::cli {

struct RankJob {
  fs::path program;
  std::vector<std::string> arguments;  ///< without the program's name
  int num_ranks = 1;
  std::vector<std::string> environment;  ///< NAME=value, besides this process's own and torchrun's variables
};

/// Starts `num_ranks` processes with torchrun's variables set and waits for all of them. SIGTERM, SIGINT and SIGUSR1
/// reach each of them once. Standard output is theirs; what ranks after the first print on standard error is marked
/// with their number, and error lines are held back: one alone is printed, the first failure's. After a failure the
/// others get `kGraceSeconds` to end, then they are killed. Returns 0, 75 (stopped on request) or the exit code of the
/// first failure. One call at a time; throws kIo when a process cannot be started.
int run_ranks(const RankJob& job);

inline constexpr int kGraceSeconds = 5;

}  // namespace rialto::cli
