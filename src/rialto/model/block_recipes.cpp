// Recipes by weight.
#include "rialto/model/block_recipes.h"

#include <ATen/Functions.h>

namespace rialto::model {

BlockRecipes::BlockRecipes(const BlockPrecision& precision, int64_t num_layers, at::Device device)
    : precision_(precision), num_layers_(num_layers), device_(device) {}

kernels::GemmRecipe BlockRecipes::of(const std::string& weight, std::optional<int64_t> layer) {
  const bool wide = layer && (*layer < precision_.first_wide || *layer >= num_layers_ - precision_.last_wide);
  if (wide || precision_.scaling == kernels::GemmScaling::kNone) return {};
  kernels::GemmRecipe recipe{
      .scaling = precision_.scaling, .gradient = precision_.delayed.gradient, .fp8_wgrad = precision_.fp8_wgrad};
  if (precision_.scaling == kernels::GemmScaling::kDelayed)
    recipe.delayed = &delayed_.try_emplace(weight, precision_.delayed, device_).first->second;
  return recipe;
}

void BlockRecipes::advance(const comm::Mesh& mesh) {
  if (!delayed_.empty() && mesh.size(comm::Axis::kDpCp) > 1) {
    std::vector<at::Tensor> observed;
    for (auto& [name, scale] : delayed_) observed.push_back(scale.observed());
    at::Tensor all = at::stack(observed);
    comm::all_reduce_max(all, mesh, comm::Axis::kDpCp);
    for (size_t i = 0; i < observed.size(); ++i) observed[i].copy_(all.select(0, static_cast<int64_t>(i)));
  }
  for (auto& [name, scale] : delayed_) scale.advance();
}

}  // namespace rialto::model
