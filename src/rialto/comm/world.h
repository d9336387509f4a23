// The processes of a run: how they find each other, agree on what they run, and form groups.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/comm/group.h"
#include "rialto/spec/place.h"

namespace rialto::comm {

struct WorldOptions {
  at::Device device = at::kCPU;
  std::chrono::milliseconds timeout = std::chrono::minutes(10);  ///< of every wait for another rank
};

class World {
 public:
  /// Collective over all processes: rank 0 listens, the others connect. Throws kComm when they do not come in time or
  /// the port is taken.
  static std::shared_ptr<World> connect(const spec::Place& place, const WorldOptions& options);
  virtual ~World() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Collective over `ranks` (global, increasing, this one among them). `name` is the group's own.
  virtual std::shared_ptr<Group> group(const std::string& name, const std::vector<int>& ranks) = 0;
  /// Of all groups so far, by axis and operation: "tp all_reduce". Sums of single numbers, which reports and norms
  /// need, are called "numbers".
  virtual std::map<std::string, Volume> volumes() const = 0;
  /// Collective over all: throws kConfig naming the first rank whose `value` is not rank 0's.
  virtual void agree(std::string_view what, const std::string& value) = 0;
};

}  // namespace rialto::comm
