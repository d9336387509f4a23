// Recipes by weight.
#include "rialto/model/block_recipes.h"

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

void BlockRecipes::advance() {
  for (auto& [name, scale] : delayed_) scale.advance();
}

}  // namespace rialto::model
