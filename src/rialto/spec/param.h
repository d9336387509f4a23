// One row per parameter: everything the bridge, the model, the checkpoint, the optimizer and the planner need to know.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/dtype.h"
#include "rialto/base/shape.h"
#include "rialto/spec/layout.h"
#include "rialto/spec/model_spec.h"

namespace rialto::spec {

/// Half-open box [lo, hi) in a factored view.
struct Extent {
  Shape lo, hi;
  Shape sizes() const;
  bool operator==(const Extent&) const = default;
};

enum class Stack { kEmbedding, kDecoder, kMtp, kHead };
enum class Init { kNormal, kResidual, kOnes, kZeros };  ///< kResidual: std divided by sqrt(2 * layers)

/// An axis that the checkpoint puts before the parameter's own: this one's `index` of `size`.
struct DiskAxis {
  int64_t index = 0, size = 0;
};

/// Where a parameter lies in a torch_dist checkpoint. Global disk shape = axis sizes, then the logical shape.
struct DiskKey {
  std::string key;                   ///< as Megatron with TransformerEngine spells it
  std::vector<std::string> aliases;  ///< other keys for the same bytes (the local spec's spelling)
  std::vector<DiskAxis> axes;        ///< layer, expert
  Shape shape(const Shape& logical) const;
};

/// A TransformerEngine module's `_extra_state` object, which readers demand: key + "/shard_<i.j>_<n.m>".
struct ExtraState {
  std::string key;             ///< "decoder.layers.mlp.linear_fc1._extra_state"
  std::vector<DiskAxis> axes;  ///< {0, 1} when the module has no axis
  std::string full_key() const;
};

struct Param {
  // identity
  std::string name;  ///< Megatron's, with the layer: "decoder.layers.3.mlp.linear_fc1.weight"
  Stack stack = Stack::kDecoder;
  int64_t layer = -1;  ///< of the decoder, or the depth of multi-token prediction; -1 elsewhere
  int64_t expert = -1;
  bool buffer = false;  ///< persistent, not trained (a router's selection bias)

  // shape: logical (Megatron's global shape, true vocabulary rows) and its factored view
  Shape shape;
  Shape view;                         ///< row-major factoring of `shape`: QKV [G, H/G+2, d, h], gate/up [2, f, h]
  std::optional<DType> pinned_dtype;  ///< fp32 whatever the model's dtype

  // sharding: the axis of `view` that tensor parallelism splits evenly; none: replicated
  std::optional<int> tp_axis;
  bool expert_sharded = false;  ///< tp_axis belongs to the expert grid
  bool by_key_head = false;  ///< tp_axis counts key/value heads, which neighbouring ranks share where there are fewer

  // disk
  DiskKey disk;

  // tie: the head of a tied model has no row of its own; the embedding row says so
  bool tied_head = false;

  // training
  bool weight_decay = true;            ///< false for norms and biases
  bool tensor_parallel_sum = false;    ///< used by each TP rank's heads: its gradient is their sum over TP
  bool sequence_parallel_sum = false;  ///< gradient summed over TP under sequence parallelism
  Init init = Init::kNormal;
};

/// Every parameter of the model in the order a forward pass meets them, embedding first; the same for every layout.
std::vector<Param> param_table(const ModelSpec& model, const Layout& layout = {});

/// The layer that the parameter belongs to (of the decoder or of a block of multi-token prediction), or nullptr.
const Layer* layer_of(const Param& param, const ModelSpec& model);

/// Every `_extra_state` object that Megatron's TransformerEngine spec asks for, in the same order.
std::vector<ExtraState> extra_state_table(const ModelSpec& model);

/// Pipeline stages (and chunks) that hold the parameter: usually one; the embedding on first and last when the last
/// stage looks tokens up too (a tied head, multi-token prediction).
std::vector<int> stages_of(const Param& param, const ModelSpec& model, const Layout& layout);

/// The share of `param` that a rank at `coords` holds, as a box of its view; rank memory is that box, row-major.
/// nullopt: not on this rank's stage. The rows of a vocabulary need not divide: the last ranks hold fewer. Throws
/// kShape when tp does not divide another split axis, and key/value heads do not divide it.
std::optional<Extent> rank_box(const Param& param, const ModelSpec& model, const Layout& layout, const Coords& coords);

/// For Layout::key_copies: how many of `tp` ranks hold the same key/value head, in the layer that has the fewest heads.
int key_copies(const ModelSpec& model, int tp);

/// Trainable elements, counted once.
int64_t num_parameters(const ModelSpec& model);

}  // namespace rialto::spec
