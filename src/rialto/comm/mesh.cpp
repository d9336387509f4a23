// Axes and their groups.
#include "rialto/comm/mesh.h"

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::comm {
namespace {

constexpr const char* kNames[] = {"tp", "cp", "dp", "pp", "dp-cp", "cp-inner", "cp-outer"};

int& along(spec::Coords& coords, Axis axis) {
  switch (axis) {
    case Axis::kTp:
      return coords.tp;
    case Axis::kCp:
      return coords.cp;
    case Axis::kDp:
      return coords.dp;
    case Axis::kPp:
    case Axis::kDpCp:
    case Axis::kCpInner:
    case Axis::kCpOuter:
      break;
  }
  return coords.pp;
}

}  // namespace

Mesh::Mesh(const spec::Layout& layout, std::shared_ptr<World> world) : layout_(layout), world_(std::move(world)) {
  const int processes = world_ ? world_->size() : 1;
  if (layout.world() != processes) {
    throw Error(ErrorKind::kConfig, "parallel", "the layout does not fit the number of processes",
                {.got = fmt::format("tp {} cp {} dp {} pp {} with {} processes", layout.tp, layout.cp, layout.dp,
                                    layout.pp, processes),
                 .want = fmt::format("tp x cp x dp x pp = {}", processes)});
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
  join_copies();
  split_context();
}

void Mesh::join_copies() {
  auto& same_weights = groups_[static_cast<size_t>(Axis::kDpCp)];
  if (layout_.cp == 1 || layout_.dp == 1) {
    same_weights = groups_[static_cast<size_t>(layout_.cp == 1 ? Axis::kDp : Axis::kCp)];
    return;
  }
  std::vector<int> ranks;
  spec::Coords coords = coords_;
  for (coords.dp = 0; coords.dp < layout_.dp; ++coords.dp)
    for (coords.cp = 0; coords.cp < layout_.cp; ++coords.cp) ranks.push_back(spec::rank_of(layout_, coords));
  same_weights = world_->group(fmt::format("dp-cp/{}", ranks.front()), ranks);
}

void Mesh::split_context() {
  const auto& whole = groups_[static_cast<size_t>(Axis::kCp)];
  const int inner = layout_.cp_inner, own = coords_.cp;
  for (const auto& [axis, first, step] :
       {std::tuple{Axis::kCpInner, own / inner * inner, 1}, {Axis::kCpOuter, own % inner, inner}}) {
    auto& group = groups_[static_cast<size_t>(axis)];
    if (size(axis) == layout_.cp) group = whole;
    if (size(axis) == 1 || size(axis) == layout_.cp) continue;
    std::vector<int> ranks;
    spec::Coords coords = coords_;
    for (int i = 0; i < size(axis); ++i) {
      coords.cp = first + i * step;
      ranks.push_back(spec::rank_of(layout_, coords));
    }
    group = world_->group(fmt::format("{}/{}", kNames[static_cast<size_t>(axis)], ranks.front()), ranks);
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
    case Axis::kDpCp:
      return layout_.dp * layout_.cp;
    case Axis::kCpInner:
      return layout_.cp_inner;
    case Axis::kCpOuter:
      return layout_.cp / layout_.cp_inner;
  }
  return 1;
}

int Mesh::index(Axis axis) const {
  if (axis == Axis::kCpInner) return coords_.cp % layout_.cp_inner;
  if (axis == Axis::kCpOuter) return coords_.cp / layout_.cp_inner;
  if (axis == Axis::kDpCp) return coords_.dp * layout_.cp + coords_.cp;
  spec::Coords coords = coords_;
  return along(coords, axis);
}

Group& Mesh::group(Axis axis) const {
  const auto& group = groups_[static_cast<size_t>(axis)];
  if (!group) throw Error(ErrorKind::kInternal, kNames[static_cast<size_t>(axis)], "an axis of one rank has no group");
  return *group;
}

}  // namespace rialto::comm
