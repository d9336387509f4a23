// Which GEMM recipe each linear layer of the blocks runs, and the state that delayed scaling keeps for them. Embedding,
// head, norms, softmax and router stay in the model's dtype. Source: Megatron-Core fp8_utils.py, get_fp8_context.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "rialto/comm/mesh.h"
#include "rialto/kernels/gemm_recipe.h"

namespace rialto::model {

struct BlockPrecision {
  kernels::GemmScaling scaling = kernels::GemmScaling::kNone;
  bool fp8_wgrad = true;
  kernels::DelayedOptions delayed = {};   ///< `gradient` counts for every scaling
  int64_t first_wide = 0, last_wide = 0;  ///< decoder layers at both ends that stay in the model's dtype
};

/// Outlives the model that was built with it.
class BlockRecipes {
 public:
  BlockRecipes(const BlockPrecision& precision, int64_t num_layers, at::Device device);
  /// The recipe of the layer with this weight. `layer`: its decoder layer, counted over the whole model; nullopt: in a
  /// block of multi-token prediction, which is never wide.
  kernels::GemmRecipe of(const std::string& weight, std::optional<int64_t> layer);
  /// The end of an optimizer step, or of one that was skipped. Collective over data- and context-parallel ranks: scales
  /// follow the largest magnitudes of all of them.
  void advance(const comm::Mesh& mesh);
  /// By the name of the weight; empty but for delayed scaling.
  std::map<std::string, kernels::DelayedScale>& delayed() { return delayed_; }

 private:
  BlockPrecision precision_;
  int64_t num_layers_;
  at::Device device_;
  std::map<std::string, kernels::DelayedScale> delayed_;
};

}  // namespace rialto::model
