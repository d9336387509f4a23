// Which stage and which box of a parameter a rank holds: a pure function beside the table.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/spec/param.h"

namespace rialto::spec {
namespace {

/// A rank's place in the grid that splits a parameter: part `index` of `size`.
struct Share {
  int index = 0, size = 1;
};

Share tensor_share(const Param& param, const Layout& layout, const Coords& coords) {
  if (!param.expert_sharded) return {coords.tp, layout.tp};
  return {expert_coords_of(layout, coords).etp, layout.etp};
}

bool holds_expert(const Param& param, const ModelSpec& model, const Layout& layout, const Coords& coords) {
  if (param.expert < 0 || layout.ep == 1) return true;
  const int64_t experts = std::get<MoeFfn>(layer_of(param, model)->ffn).num_experts;
  if (experts % layout.ep != 0)
    throw Error(ErrorKind::kShape, param.name, "experts do not spread evenly",
                {.got = fmt::format("{} experts on {} ranks", experts, layout.ep)});
  return param.expert / (experts / layout.ep) == expert_coords_of(layout, coords).ep;
}

}  // namespace

std::vector<int> stages_of(const Param& param, const ModelSpec& model, const Layout& layout) {
  const int last = layout.pp * layout.vpp - 1;
  switch (param.stack) {
    case Stack::kEmbedding:
      if ((param.tied_head || !model.mtp.empty()) && last > 0) return {0, last};
      return {0};
    case Stack::kMtp:
    case Stack::kHead:
      return {last};
    case Stack::kDecoder:
      break;
  }
  const auto num_layers = static_cast<int64_t>(model.layers.size());
  int stage = 0;
  while (stage_range(num_layers, layout, stage % layout.pp, stage / layout.pp).last <= param.layer) ++stage;
  return {stage};
}

int key_copies(const ModelSpec& model, int tp) {
  int copies = 1;
  for (const Layer& layer : model.layers)
    if (const auto* attention = std::get_if<Attention>(&layer.mixer))
      copies = std::max(copies, static_cast<int>(tp / attention->num_groups));
  return copies;
}

std::optional<Extent> rank_box(const Param& param, const ModelSpec& model, const Layout& layout, const Coords& coords) {
  const std::vector<int> stages = stages_of(param, model, layout);
  if (std::none_of(stages.begin(), stages.end(), [&](int stage) { return stage % layout.pp == coords.pp; })) return {};
  if (!holds_expert(param, model, layout, coords)) return {};
  Extent box{Shape(param.view.size(), 0), param.view};
  if (!param.tp_axis) return box;
  auto [index, size] = tensor_share(param, layout, coords);
  const auto axis = static_cast<size_t>(*param.tp_axis);
  if (param.by_key_head && param.view[axis] < size && size % param.view[axis] == 0) {
    const int copies = size / static_cast<int>(param.view[axis]);
    index /= copies;
    size /= copies;
  }
  const bool vocabulary = param.stack == Stack::kEmbedding || param.stack == Stack::kHead;
  if (!vocabulary && param.view[axis] % size != 0)
    throw Error(ErrorKind::kShape, param.name, "does not split evenly over tensor-parallel ranks",
                {.got = fmt::format("{} of {} over {} ranks", param.view[axis], to_text(param.view), size)});
  const int64_t part = (param.view[axis] + size - 1) / size;
  box.lo[axis] = std::min(index * part, param.view[axis]);
  box.hi[axis] = std::min(box.lo[axis] + part, param.view[axis]);
  return box;
}

}  // namespace rialto::spec
