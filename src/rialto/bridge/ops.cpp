// Ops as boxes. Every box is written from the native view; nothing here knows names.
#include "rialto/bridge/ops.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::bridge {
namespace {

spec::Extent whole(const Shape& view) { return {Shape(view.size(), 0), view}; }

/// HF keeps a matrix's columns and joins everything before them into rows; a vector is one axis.
Shape joined(const Shape& view, bool matrix) {
  if (!matrix) return {num_elements(view)};
  return {num_elements(Shape(view.begin(), view.end() - 1)), view.back()};
}

HfPart same(const spec::Param& param) { return {param.shape, param.view, {{whole(param.view), whole(param.view)}}}; }

/// One axis of the view in consecutive parts, one HF tensor each.
std::vector<HfPart> cut(const spec::Param& param, size_t axis, const std::vector<int64_t>& widths) {
  std::vector<HfPart> parts;
  spec::Extent box = whole(param.view);
  for (const int64_t width : widths) {
    box.hi[axis] = box.lo[axis] + width;
    const Shape sizes = box.sizes();
    parts.push_back({joined(sizes, param.shape.size() == 2), sizes, {{whole(sizes), box}}});
    box.lo[axis] = box.hi[axis];
  }
  return parts;
}

/// Rows [H + 2G, d]: group g's query heads stand together, after all of them the key heads, then the value heads.
HfPart fused_qkv(const spec::Param& param) {
  const Shape& view = param.view;
  const int64_t groups = view[0], queries = view[1] - 2, heads = groups * queries;
  HfPart part{param.shape, {heads + 2 * groups}, {}};
  part.view.insert(part.view.end(), view.begin() + 2, view.end());
  const auto pair = [&](int64_t hf_lo, int64_t hf_hi, spec::Extent native, size_t head_axis) {
    BoxPair boxes{whole(part.view), std::move(native), std::vector<uint8_t>(view.size())};
    boxes.hf.lo[0] = hf_lo;
    boxes.hf.hi[0] = hf_hi;
    std::iota(boxes.axes.begin() + 1, boxes.axes.end(), uint8_t{0});
    boxes.axes[0] = boxes.axes[1] = kNoAxis;
    boxes.axes[head_axis] = 0;
    part.pairs.push_back(std::move(boxes));
  };
  spec::Extent box = whole(view);
  box.hi[1] = queries;
  for (int64_t group = 0; group < groups; ++group) {
    box.lo[0] = group;
    box.hi[0] = group + 1;
    pair(group * queries, (group + 1) * queries, box, 1);
  }
  for (const int64_t which : {0, 1}) {
    box = whole(view);
    box.lo[1] = queries + which;
    box.hi[1] = queries + which + 1;
    pair(heads + which * groups, heads + (which + 1) * groups, box, 0);
  }
  return part;
}

HfPart swapped_halves(const spec::Param& param) {
  HfPart part{param.shape, param.view, {}};
  for (const int64_t half : {0, 1}) {
    BoxPair boxes{whole(param.view), whole(param.view)};
    boxes.hf.lo[1] = 1 - half;
    boxes.hf.hi[1] = 2 - half;
    boxes.native.lo[1] = half;
    boxes.native.hi[1] = half + 1;
    part.pairs.push_back(std::move(boxes));
  }
  return part;
}

/// The axes of the view from last to first: of a matrix the columns become rows, and rows of gate and up alternate.
HfPart reversed(const spec::Param& param) {
  HfPart part{{}, Shape(param.view.rbegin(), param.view.rend()), {}};
  if (param.shape.size() == 2)
    part.shape = {part.view[0], num_elements(Shape(part.view.begin() + 1, part.view.end()))};
  else
    part.shape = {num_elements(part.view)};
  BoxPair boxes{whole(part.view), whole(param.view), std::vector<uint8_t>(param.view.size())};
  std::iota(boxes.axes.rbegin(), boxes.axes.rend(), uint8_t{0});
  part.pairs.push_back(std::move(boxes));
  return part;
}

/// Rows of gate and up take turns.
HfPart alternating(const spec::Param& param) {
  HfPart part{param.shape, {param.view[1], param.view[0], param.view[2]}, {}};
  part.pairs.push_back({whole(part.view), whole(param.view), {1, 0, 2}});
  return part;
}

/// The part as element `index` of `size` on a new first axis of the HF tensor.
HfPart at_index(HfPart part, int64_t index, int64_t size) {
  part.shape.insert(part.shape.begin(), size);
  part.view.insert(part.view.begin(), size);
  for (BoxPair& boxes : part.pairs) {
    if (boxes.axes.empty()) {
      boxes.axes.resize(boxes.native.lo.size());
      std::iota(boxes.axes.begin(), boxes.axes.end(), uint8_t{0});
    }
    for (uint8_t& axis : boxes.axes) axis += axis == kNoAxis ? 0 : 1;
    boxes.hf.lo.insert(boxes.hf.lo.begin(), index);
    boxes.hf.hi.insert(boxes.hf.hi.begin(), index + 1);
  }
  return part;
}

void require(bool fits, Op op, const spec::Param& param) {
  if (!fits)
    throw Error(ErrorKind::kInternal, param.name,
                fmt::format("op {} does not fit this parameter", static_cast<int>(op)), {.got = to_text(param.view)});
}

}  // namespace

std::vector<HfPart> parts_of(Op op, const spec::Param& param, int64_t num_experts) {
  const Shape& view = param.view;
  if (is_packed(op)) require(param.expert >= 0 && param.expert < num_experts, op, param);
  const auto packed = [&](HfPart part) { return at_index(std::move(part), param.expert, num_experts); };
  switch (op) {
    case Op::kSame:
    case Op::kRepeat:
      return {same(param)};
    case Op::kQkv:
      require(view.size() >= 3 && view[1] > 2, op, param);
      return cut(param, 1, {view[1] - 2, 1, 1});
    case Op::kFusedQkv:
      require(view.size() >= 3 && view[1] > 2, op, param);
      return {fused_qkv(param)};
    case Op::kGateUp:
    case Op::kPackedGateUp: {
      require(view.size() >= 2 && view[0] == 2, op, param);
      std::vector<HfPart> parts = cut(param, 0, {1, 1});
      if (op == Op::kPackedGateUp) std::transform(parts.begin(), parts.end(), parts.begin(), packed);
      return parts;
    }
    case Op::kSwapHalves:
      require(view.size() == 3 && view[1] == 2, op, param);
      return {swapped_halves(param)};
    case Op::kRowVector:
      require(view.size() == 1, op, param);
      return {at_index(same(param), 0, 1)};
    case Op::kPacked:
      return {packed(same(param))};
    case Op::kPackedReversed:
      return {packed(reversed(param))};
    case Op::kPackedAlternating:
      require(view.size() == 3 && view[0] == 2, op, param);
      return {packed(alternating(param))};
    case Op::kLayerPrefix:
      break;
  }
  require(false, op, param);
  return {};
}

}  // namespace rialto::bridge
