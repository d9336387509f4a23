// The ranks of a run as named axes. Modules call collectives by axis name; an axis of size 1 makes them the identity.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/spec/layout.h"

namespace rialto::comm {

enum class Axis { kTp, kCp, kDp, kPp };

class Mesh {
 public:
  Mesh() = default;  ///< one rank
  /// Throws kConfig: this version runs one rank; larger layouts are computed with, not run.
  explicit Mesh(const spec::Layout& layout);
  int size(Axis axis) const;
  int index(Axis axis) const;
  const spec::Layout& layout() const { return layout_; }

 private:
  spec::Layout layout_;
};

// Each collective beside its transpose (what the backward pass does). All are collective over `axis`: every rank of it
// must call, in the same order.

/// Forward identity, backward sum over `axis`: the input of a column-parallel linear.
at::Tensor copy_to(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// Forward sum over `axis`, backward identity: the output of a row-parallel linear.
at::Tensor reduce_from(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// Sum in place, no gradient: norms, losses, gradients.
void all_reduce_sum(at::Tensor& x, const Mesh& mesh, Axis axis);

}  // namespace rialto::comm
