// Rows -> map: what each op makes of a native parameter's view, and which row a parameter has.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/names.h"
#include "rialto/bridge/plan.h"

namespace rialto::bridge {
namespace {

/// An op cuts one axis of the native view into consecutive parts, one per HF tensor.
struct Cut {
  size_t axis = 0;
  std::vector<int64_t> widths;
};
Cut cut_of(Op op, const Shape& view) {
  switch (op) {
    case Op::kQkv:  // [groups, query heads per group + 2, head size, ...]
      return {1, {view.at(1) - 2, 1, 1}};
    case Op::kGateUp:  // [2, width, ...]
      return {0, {1, 1}};
    case Op::kSame:
    case Op::kTiedHead:
      break;
  }
  return {0, {view.at(0)}};
}

/// HF keeps a matrix's columns and joins everything before them into rows; a vector is one axis.
Shape hf_shape(const Shape& view, size_t rank) {
  if (rank == 1) return {num_elements(view)};
  return {num_elements(Shape(view.begin(), view.end() - 1)), view.back()};
}

bool holds(When when, const spec::ModelSpec& model, int64_t layer) {
  const auto* attention =
      layer < 0 ? nullptr : std::get_if<spec::Attention>(&model.layers[static_cast<size_t>(layer)].mixer);
  switch (when) {
    case When::kAlways:
      return true;
    case When::kQkvBias:
      return attention && attention->qkv_bias;
    case When::kQkNorm:
      return attention && attention->qk_norm;
    case When::kUntied:
      return !model.tied;
    case When::kTied:
      return model.tied;
  }
  return false;
}

void add_pieces(Map& map, const spec::Param& param, const ParamRow& row, const std::vector<std::string>& hf_names) {
  const auto native = static_cast<uint32_t>(map.native.size() - 1);
  const Cut cut = cut_of(row.op, param.view);
  Box box{.tensor = native, .lo = Shape(param.view.size(), 0), .hi = param.view};
  for (size_t part = 0; part < cut.widths.size(); ++part) {
    TensorInfo hf{.name = hf_names[part], .shape = {}, .view = param.view, .dtype = map.native.back().dtype};
    hf.view[cut.axis] = cut.widths[part];
    hf.shape = hf_shape(hf.view, param.shape.size());
    box.hi[cut.axis] = box.lo[cut.axis] + cut.widths[part];
    const Box whole{.tensor = static_cast<uint32_t>(map.hf.size()), .lo = Shape(hf.view.size(), 0), .hi = hf.view};
    map.pieces.push_back({.hf = whole, .native = box});
    map.hf.push_back(std::move(hf));
    box.lo[cut.axis] = box.hi[cut.axis];
  }
}

}  // namespace

Map make_map(const spec::ModelSpec& model, std::span<const ParamRow> rows) {
  Map map;
  for (const spec::Param& param : spec::param_table(model)) {
    map.native.push_back({.name = param.name,
                          .shape = param.shape,
                          .view = param.view,
                          .dtype = param.pinned_dtype.value_or(model.dtype),
                          .pinned = param.pinned_dtype.has_value()});
    const ParamRow* found = nullptr;
    for (const ParamRow& row : rows) {
      const std::optional<Indices> indices = match_pattern(row.native, param.name);
      if (!indices || !holds(row.when, model, param.layer)) continue;
      const std::vector<std::string> names = expand_pattern(row.hf, *indices);
      if (row.op == Op::kTiedHead) {
        map.optional.push_back({names.front(), static_cast<uint32_t>(map.native.size() - 1)});
        continue;
      }
      found = &row;
      add_pieces(map, param, row, names);
    }
    if (!found)
      throw Error(ErrorKind::kInternal, fmt::format("families.{}", model.family),
                  fmt::format("no row for parameter '{}'", param.name));
  }
  return map;
}

}  // namespace rialto::bridge
