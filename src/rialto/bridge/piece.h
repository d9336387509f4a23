// A mapping is a set of boxes: which box of which HF tensor is which box of which native parameter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/base/shape.h"
#include "rialto/spec/param.h"

namespace rialto::bridge {

/// A tensor of either side with its one factored view; every piece that touches it is a box of that view.
struct TensorInfo {
  std::string name;
  Shape shape;
  Shape view;
  DType dtype = DType::kF32;  ///< as stored on that side
};

struct Box {
  uint32_t tensor = 0;  ///< index into the side's tensors
  Shape lo, hi;
  bool operator==(const Box&) const = default;
};

enum class Relation : uint8_t {
  kCopy,    ///< one to one
  kCopies,  ///< this HF box repeats a native box that another piece owns; must be equal when read, written from it
  kFill,    ///< the native box (hf.lo empty) or the HF box (native.lo empty) holds `fill`
};

struct Piece {
  Box hf, native;
  std::vector<uint8_t> axes;  ///< native axis a is HF axis axes[a]; empty: the same order
  Relation relation = Relation::kCopy;
  double fill = 0;
};

/// A HF tensor that is deliberately not converted, and why ("recomputed from the config").
struct Ignored {
  std::string name, reason;
};

struct Map {
  std::vector<TensorInfo> hf, native;
  std::vector<Piece> pieces;
  std::vector<Ignored> ignored;
};

/// Proves that the pieces tile every tensor of both sides exactly once (copies and fills declared), that views fit
/// shapes and that boxes of a piece have equal sizes. Throws kShape naming the first tensor and box that do not.
/// Time O(P log P) in the number of pieces, whatever the tensors' sizes.
void prove_complete(const Map& map);

}  // namespace rialto::bridge
