// Axes and their groups.
#include "rialto/comm/mesh.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::comm {
namespace {

constexpr const char* kNames[] = {"tp", "cp", "dp", "pp", "dp-cp", "ep", "edp", "kv", "cp-inner", "cp-outer"};
/// In the order in which groups are made.
constexpr Axis kGrouped[] = {Axis::kTp,      Axis::kCp,      Axis::kDp,   Axis::kPp,       Axis::kKeyCopies,
                             Axis::kCpInner, Axis::kCpOuter, Axis::kDpCp, Axis::kExpertDp, Axis::kExperts};
/// Of several of these with the same ranks the first one's group serves.
constexpr Axis kShared[] = {Axis::kDp, Axis::kCp, Axis::kDpCp, Axis::kExpertDp, Axis::kCpInner, Axis::kCpOuter};

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
  std::map<std::vector<int>, std::shared_ptr<Group>> shared_groups;
  for (const Axis axis : kGrouped) {
    if (size(axis) == 1) continue;
    const auto number = static_cast<size_t>(axis);
    const std::vector<int> ranks = ranks_along(axis);
    const bool shared = std::ranges::find(kShared, axis) != std::end(kShared);
    std::shared_ptr<Group>& group = shared ? shared_groups[ranks] : groups_[number];
    if (!group) group = world_->group(fmt::format("{}/{}", kNames[number], ranks.front()), ranks);
    groups_[number] = group;
    if (axis == Axis::kPp && (coords_.pp == 0 || coords_.pp == layout_.pp - 1))
      ends_ = world_->group(fmt::format("ends/{}", ranks.front()), {ranks.front(), ranks.back()});
  }
}

std::vector<int> Mesh::ranks_along(Axis axis) const {
  std::vector<int> ranks;
  spec::Coords at = coords_;
  const auto add = [&] { ranks.push_back(spec::rank_of(layout_, at)); };
  /// The run of `count` places, from a multiple of it on, that this rank is in.
  const auto neighbours = [](int& coordinate, int count, const auto& each) {
    const int first = coordinate / count * count;
    for (coordinate = first; coordinate < first + count; ++coordinate) each();
    coordinate = first;
  };
  const int first_of_stage = spec::rank_of(layout_, {.pp = coords_.pp}), of_experts = layout_.etp * layout_.ep;
  const spec::ExpertCoords expert = spec::expert_coords_of(layout_, coords_);
  switch (axis) {
    case Axis::kTp:
      neighbours(at.tp, layout_.tp, add);
      break;
    case Axis::kCp:
      neighbours(at.cp, layout_.cp, add);
      break;
    case Axis::kDp:
      neighbours(at.dp, layout_.dp, add);
      break;
    case Axis::kPp:
      neighbours(at.pp, layout_.pp, add);
      break;
    case Axis::kDpCp:
      neighbours(at.dp, layout_.dp, [&] { neighbours(at.cp, layout_.cp, add); });
      break;
    case Axis::kExperts:
      for (int i = 0; i < of_experts; ++i) ranks.push_back(first_of_stage + expert.edp * of_experts + i);
      break;
    case Axis::kExpertDp:
      for (int i = 0; i < layout_.edp(); ++i)
        ranks.push_back(first_of_stage + i * of_experts + expert.ep * layout_.etp + expert.etp);
      break;
    case Axis::kKeyCopies:
      neighbours(at.tp, layout_.key_copies, add);
      break;
    case Axis::kCpInner:
      neighbours(at.cp, layout_.cp_inner, add);
      break;
    case Axis::kCpOuter:
      for (at.cp = coords_.cp % layout_.cp_inner; at.cp < layout_.cp; at.cp += layout_.cp_inner) add();
      break;
  }
  return ranks;
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
    case Axis::kExperts:
      return layout_.etp * layout_.ep;
    case Axis::kExpertDp:
      return layout_.edp();
    case Axis::kKeyCopies:
      return layout_.key_copies;
    case Axis::kCpInner:
      return layout_.cp_inner;
    case Axis::kCpOuter:
      return layout_.cp / layout_.cp_inner;
  }
  return 1;
}

int Mesh::index(Axis axis) const {
  const spec::ExpertCoords expert = spec::expert_coords_of(layout_, coords_);
  switch (axis) {
    case Axis::kTp:
      return coords_.tp;
    case Axis::kCp:
      return coords_.cp;
    case Axis::kDp:
      return coords_.dp;
    case Axis::kPp:
      return coords_.pp;
    case Axis::kDpCp:
      return coords_.dp * layout_.cp + coords_.cp;
    case Axis::kExperts:
      return expert.ep * layout_.etp + expert.etp;
    case Axis::kExpertDp:
      return expert.edp;
    case Axis::kKeyCopies:
      return coords_.tp % layout_.key_copies;
    case Axis::kCpInner:
      return coords_.cp % layout_.cp_inner;
    case Axis::kCpOuter:
      return coords_.cp / layout_.cp_inner;
  }
  return 0;
}

Group& Mesh::group(Axis axis) const {
  const auto& group = groups_[static_cast<size_t>(axis)];
  if (!group) throw Error(ErrorKind::kInternal, kNames[static_cast<size_t>(axis)], "an axis of one rank has no group");
  return *group;
}

}  // namespace rialto::comm
