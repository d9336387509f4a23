// Which process of how many this one is: what launchers say through the environment.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace rialto::spec {

struct Place {
  int rank = 0, world = 1;              ///< of all processes
  int local_rank = 0, local_world = 1;  ///< of those on this machine
  std::string host = "127.0.0.1";       ///< where rank 0 listens
  int port = 0;
  std::optional<int> listening;  ///< rank 0 under `rialto launch`: a socket that is bound to `port` already
};

/// Reads torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT), else Slurm's,
/// else Open MPI's; with none of them, one process. `variable` is like std::getenv. Slurm and Open MPI do not name rank
/// 0's address: MASTER_ADDR and MASTER_PORT do (on one machine the address may be left out). Slurm's variables count
/// only in a step of several tasks, not in an interactive allocation. Throws kConfig naming the variable.
Place find_place(const std::function<const char*(const char*)>& variable);

}  // namespace rialto::spec
