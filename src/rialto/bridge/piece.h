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
  bool pinned = false;        ///< native only: dtype is the parameter's own, whatever the source holds
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

/// A native axis that the HF view does not have.
inline constexpr uint8_t kNoAxis = 255;

struct Piece {
  Box hf, native;
  std::vector<uint8_t> axes = {};  ///< native axis a is HF axis axes[a], or kNoAxis; empty: the same axes in the same
                                   ///< order. Axes that have no counterpart are one element long in the box
  Relation relation = Relation::kCopy;
  double fill = 0;
};

/// A HF tensor that is deliberately not converted, and why ("recomputed from the config").
struct Ignored {
  std::string name, reason;
};

/// A HF tensor that repeats a whole native one, in files that carry it (Op::kRepeat).
struct OptionalCopy {
  std::string hf;
  uint32_t native = 0;
  bool written = false;  ///< published files carry it (When::kWritten)
};

struct Map {
  std::vector<TensorInfo> hf, native;  ///< native: the rows of spec::param_table, in its order
  std::vector<Piece> pieces;
  std::vector<Ignored> ignored;
  std::vector<OptionalCopy> optional;  ///< turned into kCopies pieces by match_source and add_written_copies
};

/// Proves that the pieces tile every tensor of both sides exactly once (copies and fills declared), that views fit
/// shapes, names are unique and boxes of a piece have equal sizes. Throws kShape naming the tensor and the first
/// element (as an index of its view) that no piece or more than one piece covers. Time O(P log P) in the number of
/// pieces, whatever the tensors' sizes.
void prove_complete(const Map& map);

}  // namespace rialto::bridge
