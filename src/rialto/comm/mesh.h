// The ranks of a run as named axes. Modules call collectives by axis name; an axis of size 1 makes them the identity.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <vector>

#include "rialto/comm/world.h"
#include "rialto/spec/layout.h"

namespace rialto::comm {

/// kDpCp: both together, context-parallel ranks first: all that hold the same weights, if they are not experts.
/// kExperts: the ranks that hold one set of experts together, etp fastest, then ep. kExpertDp: those that hold the same
/// experts. kKeyCopies: tensor-parallel neighbours that hold the same key/value head. kCpInner and kCpOuter: cp taken
/// apart, neighbours that exchange heads and the rings through them.
enum class Axis { kTp, kCp, kDp, kPp, kDpCp, kExperts, kExpertDp, kKeyCopies, kCpInner, kCpOuter };
/// The ranks that hold the same weights, and so have parts of one gradient: of an expert, or of anything else.
constexpr Axis same_weights(bool expert) { return expert ? Axis::kExpertDp : Axis::kDpCp; }
/// The ranks that hold a layer together: each expert of it once, or the parts of anything else.
constexpr Axis parts_of_layer(bool expert) { return expert ? Axis::kExperts : Axis::kTp; }
/// Those that a rank's coordinates are on.
inline constexpr Axis kAxes[] = {Axis::kTp, Axis::kCp, Axis::kDp, Axis::kPp};

class Mesh {
 public:
  Mesh() = default;  ///< one rank
  /// `world` has layout.world() processes; null: one. Rank order: spec::rank_of. Collective: makes a group for each
  /// axis longer than 1. Throws kConfig when the sizes differ.
  explicit Mesh(const spec::Layout& layout, std::shared_ptr<World> world = {});
  int size(Axis axis) const;
  int index(Axis axis) const;
  const spec::Layout& layout() const { return layout_; }
  /// Ranks that each have some of a micro-batch's tokens outside of what tensor-parallel ranks share of a layer.
  int token_ranks() const { return layout_.sp ? layout_.tp : 1; }
  const spec::Coords& coords() const { return coords_; }
  /// Null for one rank.
  const std::shared_ptr<World>& world() const { return world_; }
  /// The ranks along `axis` through this one. Throws kInternal for an axis of size 1, which has nobody to talk to.
  Group& group(Axis axis) const;
  /// The first and the last rank of this one's pipeline; null for ranks between them, and without a pipeline.
  Group* ends() const { return ends_.get(); }

 private:
  std::vector<int> ranks_along(Axis axis) const;

  spec::Layout layout_;
  spec::Coords coords_;
  std::shared_ptr<World> world_;
  std::array<std::shared_ptr<Group>, 10> groups_;
  std::shared_ptr<Group> ends_;
};

// Each collective beside its transpose (what the backward pass does). All are collective over `axis`: every rank of it
// must call, in the same order. Dim 0 is the one that is cut or joined, in the order of ranks.

/// Forward identity, backward sum over `axis`: the input of a column-parallel linear.
at::Tensor copy_to(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// Forward sum over `axis`, backward identity: the output of a row-parallel linear.
at::Tensor reduce_from(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// Forward every rank's x, joined; backward the sum over `axis` of this rank's part.
at::Tensor gather_from(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// Forward the sum over `axis` of this rank's part; backward every rank's gradient, joined.
at::Tensor reduce_scatter_to(const at::Tensor& x, const Mesh& mesh, Axis axis);

// Into what tensor-parallel ranks share of a layer, where each has every token, and out of it. Dim 0: tokens.

/// copy_to; with sequence parallelism gather_from of each rank's tokens.
at::Tensor into_tp(const at::Tensor& x, const Mesh& mesh);
/// reduce_from; with sequence parallelism reduce_scatter_to this rank's tokens.
at::Tensor out_of_tp(const at::Tensor& x, const Mesh& mesh);

/// Columns of which each of them has a part, joined, of this rank's tokens: [T,N/tp] -> [T,N].
at::Tensor columns_out_of_tp(const at::Tensor& x, const Mesh& mesh);

// Without a gradient: norms, losses, counts, flags.

/// Every rank's x, joined.
at::Tensor all_gather(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// x [ranks, ...]: part r goes to rank r -> [ranks, ...], what rank r had for this one at r. Its own transpose.
at::Tensor all_to_all(const at::Tensor& x, const Mesh& mesh, Axis axis);
/// In place; contiguous.
void all_reduce_sum(at::Tensor& x, const Mesh& mesh, Axis axis);
void all_reduce_max(at::Tensor& x, const Mesh& mesh, Axis axis);
/// Sums of host numbers, element by element, in fp64.
void all_reduce_sum(std::vector<double>& values, const Mesh& mesh, Axis axis);

// Over every rank of the mesh, axis by axis.

/// Sums of host numbers, each found by one rank or summed over all.
void all_reduce_sum(std::vector<double>& values, const Mesh& mesh);
/// True when it is true on any rank.
bool any(bool value, const Mesh& mesh);
/// Returns when every rank has come.
void barrier(const Mesh& mesh, const char* what);

}  // namespace rialto::comm
