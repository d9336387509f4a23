// Keys of `recipe:`, a section of our own: what a recipe is made for.
#include "rialto/config/section_tables.h"

namespace rialto::config {

void add_recipe_rows(std::vector<KeyRow>& rows) {
  using R = RecipeSection;
  add_rows<R>(
      rows, "recipe", &RunConfig::recipe,
      {field("model", &R::model, "a note: the published model that the recipe trains, as the hub names it"),
       field("gpus", &R::gpus, "a note: processes that its layout is made for; `rialto config check` takes them")});
}

void add_recipe_rules(std::vector<Rule>& rules) {
  rules.push_back(
      integer_rule("R480", "recipe.gpus", [](const RunConfig& c) { return c.recipe.gpus; }, 1, int64_t{1} << 20));
}

}  // namespace rialto::config
