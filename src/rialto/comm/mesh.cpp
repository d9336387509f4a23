// Axes and their groups.
#include "rialto/comm/mesh.h"

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::comm {
namespace {

constexpr const char* kNames[] = {"tp", "cp", "dp", "pp"};

int& along(spec::Coords& coords, Axis axis) {
  switch (axis) {
    case Axis::kTp:
      return coords.tp;
    case Axis::kCp:
      return coords.cp;
    case Axis::kDp:
      return coords.dp;
    case Axis::kPp:
      break;
  }
  return coords.pp;
}

}  // namespace

Mesh::Mesh(const spec::Layout& layout, std::shared_ptr<World> world) : layout_(layout), world_(std::move(world)) {
  const int processes = world_ ? world_->size() : 1;
  const bool runs = layout.cp == 1;
  if (layout.world() != processes || !runs) {
    throw Error(ErrorKind::kConfig, "parallel",
                runs ? "the layout does not fit the number of processes" : "this version does not run context parallel",
                {.got = fmt::format("tp {} cp {} dp {} pp {} with {} processes", layout.tp, layout.cp, layout.dp,
                                    layout.pp, processes),
                 .want = fmt::format("tp x dp x pp = {}, cp 1", processes)});
  }
  if (!world_) return;
  coords_ = spec::coords_of(layout_, world_->rank());
  for (const Axis axis : kAxes) {
    if (size(axis) == 1) continue;
    std::vector<int> ranks;
    spec::Coords coords = coords_;
    for (int i = 0; i < size(axis); ++i) {
      along(coords, axis) = i;
      ranks.push_back(spec::rank_of(layout_, coords));
    }
    const auto number = static_cast<size_t>(axis);
    groups_[number] = world_->group(fmt::format("{}/{}", kNames[number], ranks.front()), ranks);
    if (axis == Axis::kPp && (coords_.pp == 0 || coords_.pp == layout_.pp - 1))
      ends_ = world_->group(fmt::format("ends/{}", ranks.front()), {ranks.front(), ranks.back()});
  }
}

int Mesh::size(Axis axis) const {
  switch (axis) {
    case Axis::kTp:
      return layout_.tp;
    case Axis::kCp:
      return layout_.cp;
    case Axis::kDp:
      return layout_.dp;
    case Axis::kPp:
      return layout_.pp;
  }
  return 1;
}

int Mesh::index(Axis axis) const {
  spec::Coords coords = coords_;
  return along(coords, axis);
}

Group& Mesh::group(Axis axis) const {
  const auto& group = groups_[static_cast<size_t>(axis)];
  if (!group) throw Error(ErrorKind::kInternal, kNames[static_cast<size_t>(axis)], "an axis of one rank has no group");
  return *group;
}

}  // namespace rialto::comm
