// The proof that pieces tile every tensor exactly once.
//
// Let f be the number of boxes that cover each element. Every box puts +1 or -1 on each of its 2^d corners (the mixed
// difference of its indicator); f is the sum of those marks over everything at or before an element, so the marks that
// are left after cancelling say exactly where f changes. f is 1 on the whole tensor and 0 outside exactly when the
// marks are those of the tensor itself. And where they are not, the first mark left in row-major order is the first
// element that is covered wrongly, and its value says how: nothing but that mark lies before it.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/piece.h"

namespace rialto::bridge {
namespace {

struct Mark {
  Shape corner;
  int value = 0;
};

[[noreturn]] void fail(const TensorInfo& tensor, std::string_view what, const ErrorParts& parts = {}) {
  throw Error(ErrorKind::kShape, tensor.name, what, parts);
}

std::string to_text(const Box& box) {
  return fmt::format("{} to {}", rialto::to_text(box.lo), rialto::to_text(box.hi));
}

/// A view splits each size of the shape into consecutive factors.
void check_view(const TensorInfo& tensor) {
  size_t axis = 0;
  for (const int64_t size : tensor.shape) {
    int64_t product = 1;
    while (axis < tensor.view.size() && (product < size || tensor.view[axis] == 1)) product *= tensor.view[axis++];
    if (product != size || size < 1)
      fail(tensor, "has a view that does not factor its shape",
           {.got = rialto::to_text(tensor.view), .want = rialto::to_text(tensor.shape)});
  }
  if (axis != tensor.view.size())
    fail(tensor, "has a view that does not factor its shape",
         {.got = rialto::to_text(tensor.view), .want = rialto::to_text(tensor.shape)});
}

void check_names(const std::vector<TensorInfo>& tensors) {
  std::vector<const TensorInfo*> sorted;
  for (const TensorInfo& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->name < b->name; });
  for (size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i - 1]->name == sorted[i]->name) fail(*sorted[i], "stands twice in the map");
}

const TensorInfo& check_box(const std::vector<TensorInfo>& tensors, const Box& box) {
  if (box.tensor >= tensors.size())
    throw Error(ErrorKind::kShape, "bridge", fmt::format("a piece names tensor {} of {}", box.tensor, tensors.size()));
  const TensorInfo& tensor = tensors[box.tensor];
  bool inside = box.lo.size() == tensor.view.size() && box.hi.size() == tensor.view.size();
  for (size_t axis = 0; inside && axis < box.lo.size(); ++axis)
    inside = 0 <= box.lo[axis] && box.lo[axis] < box.hi[axis] && box.hi[axis] <= tensor.view[axis];
  if (!inside)
    fail(tensor, "has a piece outside its view",
         {.got = to_text(box), .want = "a box inside " + rialto::to_text(tensor.view)});
  return tensor;
}

/// Axes pair one to one with equal sizes; an axis without a counterpart is one element long.
void check_axes(const Map& map, const Piece& piece, const TensorInfo& native) {
  const size_t rank = native.view.size(), hf_rank = piece.hf.lo.size();
  std::vector<bool> seen(hf_rank, false);
  const auto bad_axes = [&] {
    fail(native, "has a piece whose axes are not a permutation",
         {.got = fmt::format("{} axes, HF box {}", piece.axes.empty() ? rank : piece.axes.size(), to_text(piece.hf))});
  };
  const auto bad_size = [&] {
    fail(native, fmt::format("has a piece of another size than its part of '{}'", map.hf[piece.hf.tensor].name),
         {.got = to_text(piece.native), .want = to_text(piece.hf)});
  };
  if (piece.axes.empty() ? rank != hf_rank : piece.axes.size() != rank) bad_axes();
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t there = piece.axes.empty() ? axis : piece.axes[axis];
    const int64_t size = piece.native.hi[axis] - piece.native.lo[axis];
    if (there == kNoAxis) {
      if (size != 1) bad_size();
      continue;
    }
    if (there >= hf_rank || seen[there]) bad_axes();
    seen[there] = true;
    if (size != piece.hf.hi[there] - piece.hf.lo[there]) bad_size();
  }
  for (size_t axis = 0; axis < hf_rank; ++axis)
    if (!seen[axis] && piece.hf.hi[axis] - piece.hf.lo[axis] != 1) bad_size();
}

void check_piece(const Map& map, const Piece& piece) {
  const bool no_hf = piece.hf.lo.empty(), no_native = piece.native.lo.empty();
  if (piece.relation == Relation::kFill) {
    if (no_hf == no_native) throw Error(ErrorKind::kShape, "bridge", "a fill must have a box on exactly one side");
    check_box(no_hf ? map.native : map.hf, no_hf ? piece.native : piece.hf);
    return;
  }
  const TensorInfo& native = check_box(map.native, piece.native);
  check_box(map.hf, piece.hf);
  check_axes(map, piece, native);
}

void add_marks(std::vector<Mark>& marks, const Shape& lo, const Shape& hi, int value) {
  for (uint32_t corner = 0; corner < (1u << lo.size()); ++corner) {
    Mark mark{lo, value};
    for (size_t axis = 0; axis < lo.size(); ++axis)
      if (corner >> axis & 1u) {
        mark.corner[axis] = hi[axis];
        mark.value = -mark.value;
      }
    marks.push_back(std::move(mark));
  }
}

void prove_tiled(const TensorInfo& tensor, const std::vector<const Box*>& boxes) {
  if (tensor.view.size() > 16) fail(tensor, "has a view of too many axes");
  const Shape origin(tensor.view.size(), 0);
  if (boxes.size() == 1 && boxes[0]->lo == origin && boxes[0]->hi == tensor.view) return;
  std::vector<Mark> marks;
  add_marks(marks, origin, tensor.view, -1);
  for (const Box* box : boxes) add_marks(marks, box->lo, box->hi, 1);
  std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.corner < b.corner; });
  for (size_t i = 0; i < marks.size();) {
    int left = 0;
    const size_t first = i;
    for (; i < marks.size() && marks[i].corner == marks[first].corner; ++i) left += marks[i].value;
    if (left == 0) continue;
    const std::string element =
        fmt::format("element {} of its view {}", rialto::to_text(marks[first].corner), rialto::to_text(tensor.view));
    if (left < 0) fail(tensor, fmt::format("is not covered by any piece at {}", element));
    fail(tensor, fmt::format("is covered {} times at {}", left + 1, element));
  }
}

void prove_side(const std::vector<TensorInfo>& tensors, const std::vector<const Box*>& boxes) {
  std::vector<std::vector<const Box*>> of_tensor(tensors.size());
  for (const Box* box : boxes) of_tensor[box->tensor].push_back(box);
  for (size_t i = 0; i < tensors.size(); ++i) {
    check_view(tensors[i]);
    prove_tiled(tensors[i], of_tensor[i]);
  }
}

}  // namespace

void prove_complete(const Map& map) {
  check_names(map.hf);
  check_names(map.native);
  std::vector<const Box*> hf, native;
  for (const Piece& piece : map.pieces) {
    check_piece(map, piece);
    if (!piece.hf.lo.empty()) hf.push_back(&piece.hf);
    // A copy does not own its native box: the piece that it repeats does.
    if (!piece.native.lo.empty() && piece.relation != Relation::kCopies) native.push_back(&piece.native);
  }
  prove_side(map.hf, hf);
  prove_side(map.native, native);
}

}  // namespace rialto::bridge
