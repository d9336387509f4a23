// Reading a process's place from the environment.
#include "rialto/spec/place.h"

#include <charconv>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::spec {
namespace {

struct Names {
  const char *rank, *world, *local_rank, *local_world;
};
constexpr Names kLaunchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
};
constexpr int kMostRanks = 1 << 20;

class Variables {
 public:
  explicit Variables(const std::function<const char*(const char*)>& get) : get_(get) {}
  const char* find(const char* name) const {
    const char* value = get_(name);
    return value && *value ? value : nullptr;
  }
  /// The number in `name`, in [low, high]; `otherwise` when it is unset.
  int number(const char* name, int low, int high, std::optional<int> otherwise = {}) const {
    const char* text = find(name);
    if (!text && otherwise) return *otherwise;
    int value = 0;
    const char* end = text ? text + std::strlen(text) : nullptr;
    const auto parsed = text ? std::from_chars(text, end, value) : std::from_chars_result{nullptr, std::errc{}};
    if (!text || parsed.ec != std::errc{} || parsed.ptr != end || value < low || value > high) {
      throw Error(ErrorKind::kConfig, name, "the launcher's variable cannot be used",
                  {.got = text ? fmt::format("'{}'", text) : "unset",
                   .want = fmt::format("a number from {} to {}", low, high)});
    }
    return value;
  }

 private:
  const std::function<const char*(const char*)>& get_;
};

}  // namespace

Place find_place(const std::function<const char*(const char*)>& variable) {
  const Variables variables(variable);
  const Names* launcher = nullptr;
  for (const Names& names : kLaunchers)
    if (!launcher && variables.find(names.rank) && variables.find(names.world)) launcher = &names;
  Place place;
  if (!launcher) return place;
  place.world = variables.number(launcher->world, 1, kMostRanks);
  place.rank = variables.number(launcher->rank, 0, place.world - 1);
  // Slurm's "4(x2)" says nothing of this machine alone; the local rank is what devices are chosen by.
  const bool slurm = launcher == &kLaunchers[1];
  place.local_rank = variables.number(launcher->local_rank, 0, kMostRanks, place.rank);
  place.local_world = slurm ? place.world : variables.number(launcher->local_world, 1, kMostRanks, place.world);
  if (place.world == 1) return place;
  if (const char* host = variables.find("MASTER_ADDR")) place.host = host;
  place.port = variables.number("MASTER_PORT", 1, 65535);
  if (place.rank == 0 && variables.find("RIALTO_STORE_SOCKET"))
    place.listening = variables.number("RIALTO_STORE_SOCKET", 3, 1 << 20);
  return place;
}

}  // namespace rialto::spec
